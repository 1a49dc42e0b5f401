/** One line of JSON per event. Callers pass ids, counts and codes, never tokens, bodies or addresses of people. */
export interface Log {
  info(event: string, fields?: LogFields): void
  error(event: string, error: unknown, fields?: LogFields): void
}

type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

export const silentLog: Log = { info: () => {}, error: () => {} }

export function jsonLog(write: (line: string) => void): Log {
  const line = (level: string, event: string, fields: object) =>
    write(`${JSON.stringify({ time: new Date().toISOString(), level, event, ...fields })}\n`)
  return {
    info: (event, fields = {}) => line('info', event, fields),
    error: (event, error, fields = {}) => line('error', event, { ...fields, ...describeError(error) }),
  }
}

/** Name, code and stack. The message is left out: drivers quote parameters in it. */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { name: typeof error }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  const frames = error.stack
    ?.split('\n')
    .filter((frame) => frame.startsWith('    at '))
    .slice(0, 8)
  return { name: error.name, code, at: frames?.map((frame) => frame.trim()) }
}
