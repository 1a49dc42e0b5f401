import type { ServerResponse } from 'node:http'

export function answerJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(body))
}

/** The error shape of the reference server. */
export function answerError(response: ServerResponse, status: number, code: string, sentence: string): void {
  answerJson(response, status, { error: sentence, code })
}
