#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { ConfigProblem, DirectoryInUse, jsonLog, KeyFileProblem, startServer } from './index.ts'

const usage = `nightlatch-server: accounts, tokens and RxDB sync for Nightlatch apps

  --port N                  default 4400; 0 = any free port
  --host ADDRESS            default 127.0.0.1
  --data DIR                where everything is kept; default ./nightlatch-data
  --database-url URL        PostgreSQL 15+ instead of the built-in database; also DATABASE_URL
  --config FILE.json        the collections
  --origin URL              a web app that may call; repeatable
  --access-life-s N         default 900
  --session-idle-s N        default 5184000 (60 days)
  --session-absolute-s N    default 15552000 (180 days)
  --anonymous-idle-s N      default 15552000 (180 days)
  --dev-routes              serve /v1/dev/… to this machine (never in production)
  --help
`

try {
  await main()
} catch (error) {
  if (!isForPeople(error)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '4400' },
      host: { type: 'string', default: '127.0.0.1' },
      data: { type: 'string', default: './nightlatch-data' },
      'database-url': { type: 'string' },
      config: { type: 'string' },
      origin: { type: 'string', multiple: true, default: [] },
      'access-life-s': { type: 'string' },
      'session-idle-s': { type: 'string' },
      'session-absolute-s': { type: 'string' },
      'anonymous-idle-s': { type: 'string' },
      'dev-routes': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(usage)
    return
  }
  const seconds = (flag: 'access-life-s' | 'session-idle-s' | 'session-absolute-s' | 'anonymous-idle-s') =>
    readNumber(flag, values[flag], 1)
  const databaseUrl = values['database-url'] ?? process.env.DATABASE_URL
  const server = await startServer({
    port: readNumber('port', values.port, 0) ?? 4400,
    host: values.host,
    dataDir: values.data,
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    ...(values.config === undefined ? {} : { config: values.config }),
    origins: values.origin,
    devRoutes: values['dev-routes'],
    lifetimes: withoutUndefined({
      accessS: seconds('access-life-s'),
      sessionIdleS: seconds('session-idle-s'),
      sessionAbsoluteS: seconds('session-absolute-s'),
      anonymousIdleS: seconds('anonymous-idle-s'),
    }),
    log: jsonLog((line) => process.stderr.write(line)),
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void server.close().then(() => process.exit(0)))
  }
  process.stdout.write(`${JSON.stringify({ ready: true, url: server.url })}\n`)
}

function readNumber(flag: string, value: string | undefined, min: number): number | undefined {
  if (value === undefined) return undefined
  if (!/^[0-9]{1,10}$/.test(value) || Number(value) < min)
    throw new ConfigProblem(`--${flag} must be a whole number of at least ${min}, not "${value}".`)
  return Number(value)
}

function withoutUndefined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

/** Mistakes of whoever starts the server get a sentence; everything else gets its stack. */
function isForPeople(error: unknown): error is Error {
  if (error instanceof ConfigProblem || error instanceof DirectoryInUse || error instanceof KeyFileProblem) return true
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return code.startsWith('ERR_PARSE_ARGS') || code === 'EADDRINUSE' || code === 'EACCES'
}
