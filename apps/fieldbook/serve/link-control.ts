import type { IncomingMessage, ServerResponse } from 'node:http'
import { answerError, answerJson } from './answer.ts'
import { isLinkMode, LINK_MODES } from './link-mode.ts'
import type { SatelliteLink } from './satellite-link.ts'

const MAX_BODY_BYTES = 1_000

/**
 * The switch of the link over HTTP: `GET /__link` -> `{mode}`, `PUT /__link` `{mode}`, `POST /__link/revoke` `{user_id}` -> `{revoked}`.
 * Both changes insist on a JSON body, so that a page of another origin would need a preflight, which nobody answers.
 */
export async function controlLink(link: SatelliteLink, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const call = `${request.method} ${path}`
  if (call === 'GET /__link') return answerJson(response, 200, { mode: link.mode })
  if (call !== 'PUT /__link' && call !== 'POST /__link/revoke') {
    return answerError(response, 404, 'not_found', 'The link knows GET /__link, PUT /__link and POST /__link/revoke.')
  }

  const body = await jsonBody(request)
  if (!body) return answerError(response, 400, 'invalid_request', 'Send a small JSON object with content-type application/json.')
  if (call === 'PUT /__link') {
    if (!isLinkMode(body.mode)) return answerError(response, 400, 'invalid_request', `mode is one of ${LINK_MODES.join(', ')}.`)
    link.setMode(body.mode)
    return answerJson(response, 200, { mode: link.mode })
  }
  if (typeof body.user_id !== 'string') return answerError(response, 400, 'invalid_request', 'user_id is missing.')
  try {
    answerJson(response, 200, { revoked: await link.revokeSessions(body.user_id) })
  } catch (error) {
    answerError(response, 502, 'revoke_failed', error instanceof Error ? error.message : 'The server could not be asked.')
  }
}

async function jsonBody(request: IncomingMessage): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (!request.headers['content-type']?.startsWith('application/json')) return undefined
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk
    if (text.length > MAX_BODY_BYTES) return undefined
  }
  try {
    const body: unknown = JSON.parse(text)
    return typeof body === 'object' && body !== null ? { ...body } : undefined
  } catch {
    return undefined
  }
}
