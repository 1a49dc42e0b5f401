import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { answerError } from './answer.ts'
import { controlLink } from './link-control.ts'
import type { LinkPace } from './link-mode.ts'
import { targetOf } from './request-target.ts'
import { SatelliteLink } from './satellite-link.ts'
import { serveStatic } from './static-files.ts'

export interface FieldbookOptions {
  /** 0: any free port. */
  readonly port: number
  /** Where the server is, such as `http://127.0.0.1:4400`. It need not run. */
  readonly server: string
  /** The built pages. Default: `dist/pwa` of this package. */
  readonly distDir?: string
  readonly slowPace?: LinkPace
}

export interface FieldbookServer {
  readonly url: string
  readonly link: SatelliteLink
  /** Cuts open connections and frees the port. */
  close(): Promise<void>
}

const BUILT_PAGES = fileURLToPath(new URL('../dist/pwa', import.meta.url))

/**
 * Serves the fieldbook's pages on 127.0.0.1 and, on the same origin, the server behind the satellite link (`/v1/…`, `/.well-known/…`).
 *
 * @throws the error of `listen` when the port is taken (`code: 'EADDRINUSE'`)
 */
export async function startFieldbook({ port, server, distDir = BUILT_PAGES, slowPace }: FieldbookOptions): Promise<FieldbookServer> {
  const link = new SatelliteLink(new URL(server), slowPace)
  const directory = resolve(distDir)
  const http = createServer((request, response) => {
    route(link, directory, request, response).catch(() => {
      if (response.headersSent) response.destroy()
      else answerError(response, 500, 'internal', 'The fieldbook could not answer.')
    })
  })
  http.listen(port, '127.0.0.1')
  await once(http, 'listening')
  const { port: listeningPort } = http.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${listeningPort}`,
    link,
    async close() {
      link.close()
      const closed = once(http, 'close')
      http.close()
      http.closeAllConnections()
      await closed
    },
  }
}

async function route(link: SatelliteLink, directory: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { path } = targetOf(request)
  if (path.startsWith('/v1/') || path.startsWith('/.well-known/')) return link.handle(request, response)
  if (path === '/__link' || path.startsWith('/__link/')) return controlLink(link, path, request, response)
  return serveStatic(directory, path, request, response)
}
