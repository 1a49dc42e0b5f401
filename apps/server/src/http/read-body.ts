import type { z } from 'zod'
import { ApiError, invalidRequest } from './api-error.ts'

/**
 * The request's body in the shape of `schema`.
 *
 * @throws {ApiError} `body_too_large` (413) before more than `maxBytes` are kept, `invalid_request` (400) naming the field but not its value
 */
export async function readBody<T>(request: Request, schema: z.ZodType<T>, maxBytes: number, format: 'json' | 'form' = 'json'): Promise<T> {
  const text = await readText(request, maxBytes)
  return checkShape(format === 'json' ? parseJson(text) : Object.fromEntries(new URLSearchParams(text)), schema)
}

export async function readText(request: Request, maxBytes: number): Promise<string> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength
    if (size > maxBytes) throw tooLarge(maxBytes)
    chunks.push(chunk)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch {
    throw invalidRequest('The body is not UTF-8.')
  }
}

export function checkShape<T>(value: unknown, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const where = issue?.path.length ? `"${issue.path.join('.').slice(0, 100)}"` : 'The request'
  throw invalidRequest(`${where} is not as it should be (${issue?.code ?? 'unknown'}).`)
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalidRequest('The body is not JSON.')
  }
}

/** The rest of the body is not read, so the connection cannot be used again. */
const tooLarge = (maxBytes: number) =>
  new ApiError(413, 'body_too_large', `The body is larger than ${maxBytes} bytes. Send less at a time.`, {
    headers: { Connection: 'close' },
  })
