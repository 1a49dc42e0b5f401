import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { answerError } from './answer.ts'

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.webmanifest': 'application/manifest+json',
}

/** Nothing is loaded from elsewhere, and the page speaks to its own origin only. */
/** `wasm-unsafe-eval`: Argon2id, which makes keys of passwords, is WebAssembly; without it session-cache takes PBKDF2. No script is allowed by it. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"

/** Serves the built pages; paths without an extension are screens of the app and get `index.html`. */
export async function serveStatic(directory: string, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return answerError(response, 405, 'method_not_allowed', 'Files can only be read.')
  const file = await fileOf(directory, path)
  if (!file) return answerError(response, 404, 'not_found', 'There is no such file.')

  response.writeHead(200, {
    'content-type': CONTENT_TYPES[extname(file.path)] ?? 'application/octet-stream',
    'content-length': file.bytes,
    // Vite puts a hash of the content into the names below /assets/; all other names must be asked for again to see an update.
    'cache-control': path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
    'content-security-policy': CONTENT_SECURITY_POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  })
  if (request.method === 'HEAD') response.end()
  else await pipeline(createReadStream(file.path), response)
}

async function fileOf(directory: string, path: string): Promise<{ path: string; bytes: number } | undefined> {
  // An absolute path, once normalised, has no `..` left that could lead out of the directory.
  const wanted = join(directory, extname(path) ? normalize(path) : 'index.html')
  const found = await stat(wanted).catch(() => undefined)
  return found?.isFile() ? { path: wanted, bytes: found.size } : undefined
}
