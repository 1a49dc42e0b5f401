export interface ServerEvent {
  readonly name: string
  readonly data: string
}

/**
 * Reads `text/event-stream` (WHATWG HTML section 9.2.6) from a response body. Comments, which servers send as heartbeats, only show that
 * the connection lives.
 *
 * @param onLife called for whatever arrives
 */
export async function* readEventStream(body: ReadableStream<Uint8Array>, onLife: () => void): AsyncGenerator<ServerEvent> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader()
  let rest = ''
  let name = 'message'
  let data: string[] = []
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      onLife()
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/)
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0) yield { name, data: data.join('\n') }
          name = 'message'
          data = []
          continue
        }
        const [field, text] = fieldOf(line)
        if (field === 'event') name = text
        if (field === 'data') data.push(text)
      }
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}

/** A comment begins with a colon and so has the empty field name. */
function fieldOf(line: string): readonly [field: string, text: string] {
  const colon = line.indexOf(':')
  if (colon === -1) return [line, '']
  const text = line.slice(colon + 1)
  return [line.slice(0, colon), text.startsWith(' ') ? text.slice(1) : text]
}
