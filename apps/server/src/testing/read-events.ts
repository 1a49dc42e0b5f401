import { EventSourceParserStream } from 'eventsource-parser/stream'

export interface EventReader {
  readonly status: number
  readonly contentType: string | null
  /** The next event with its data parsed, `undefined` when the server has closed the stream. Comments are left out. */
  next(): Promise<{ readonly event: string | undefined; readonly data: unknown } | undefined>
  close(): Promise<void>
}

export async function readEvents(url: string, token: string): Promise<EventReader> {
  const response = await fetch(url, { headers: { Authorization: `Bearer ${token}` } })
  if (!response.body) throw new Error('The answer has no body.')
  const reader = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream()).getReader()
  return {
    status: response.status,
    contentType: response.headers.get('content-type'),
    async next() {
      const { value } = await reader.read()
      return value && { event: value.event, data: JSON.parse(value.data) as unknown }
    },
    close: () => reader.cancel(),
  }
}
