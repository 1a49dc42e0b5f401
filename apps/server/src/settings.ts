import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { ConfigProblem } from './config.ts'

/** One thing that whoever starts the server may set: by flag, by environment variable, or in the `server` part of the configuration file. */
interface Setting {
  readonly kind: 'number' | 'text' | 'list' | 'switch'
  readonly help: string
  readonly least?: number
  /** Only where it is not `NIGHTLATCH_` and the name. */
  readonly variable?: string
}

const known = {
  port: { kind: 'number', least: 0, help: 'default 4400; 0 = any free port' },
  host: { kind: 'text', help: 'default 127.0.0.1' },
  data: { kind: 'text', help: 'where everything is kept; default ./nightlatch-data' },
  databaseUrl: { kind: 'text', variable: 'DATABASE_URL', help: 'PostgreSQL 15+ instead of the built-in database' },
  poolSize: { kind: 'number', least: 1, help: 'connections to PostgreSQL; default 10' },
  keyFile: { kind: 'text', help: 'the secrets behind every token; default keys.json in --data' },
  issuer: { kind: 'text', help: 'public URL of the server, for generic OAuth clients; kept from the first start' },
  origin: { kind: 'list', help: 'a web app that may call; repeatable' },
  accessLifeS: { kind: 'number', least: 1, help: 'default 900' },
  sessionIdleS: { kind: 'number', least: 1, help: 'default 5184000 (60 days)' },
  sessionAbsoluteS: { kind: 'number', least: 1, help: 'default 15552000 (180 days)' },
  anonymousIdleS: { kind: 'number', least: 1, help: 'default 15552000 (180 days)' },
  credentialsPerMinute: { kind: 'number', least: 1, help: 'registrations and log-ins from one address; default 300' },
  requestsPerMinute: { kind: 'number', least: 1, help: 'everything else, by session; default 6000' },
  proxyHops: { kind: 'number', least: 0, help: 'own proxies in front whose X-Forwarded-For is believed; default 0' },
  metricsPort: { kind: 'number', least: 0, help: 'serve Prometheus metrics there; default off' },
  devRoutes: { kind: 'switch', help: 'serve /v1/dev/… to this machine (never in production)' },
} as const satisfies Readonly<Record<string, Setting>>

type Known = typeof known
type Name = keyof Known
type ValueOf<S extends Setting> = { number: number; text: string; list: readonly string[]; switch: boolean }[S['kind']]

export type Settings = { readonly [N in Name]?: ValueOf<Known[N]> }

export interface CommandLine {
  readonly settings: Settings
  /** The configuration file, if one was named. */
  readonly config: string | undefined
  readonly hooks: string | undefined
  readonly help: boolean
  /** What is not a flag: a command and its arguments. */
  readonly words: readonly string[]
}

/**
 * Reads flags, then environment variables, then the file's `server` part: the first that sets something wins.
 *
 * @throws {ConfigProblem} naming the flag, variable or key that is wrong
 */
export function readSettings(args: readonly string[], environment: NodeJS.ProcessEnv): CommandLine {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...Object.fromEntries(names.map((name) => [flagOf(name), flagType(known[name])])),
      config: { type: 'string' },
      hooks: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  const config = asText(values.config) ?? environment.NIGHTLATCH_CONFIG
  const file = config === undefined ? {} : serverPart(config)
  const settings: { -readonly [N in Name]?: unknown } = {}
  for (const name of names) {
    const sources = [
      { label: `--${flagOf(name)}`, raw: (values as Readonly<Record<string, unknown>>)[flagOf(name)] },
      { label: variableOf(name), raw: environment[variableOf(name)] },
      { label: `server.${name} in ${config}`, raw: file[name] },
    ]
    const source = sources.find(({ raw }) => raw !== undefined && raw !== '')
    if (source) settings[name] = readValue(known[name], source.raw, source.label)
  }
  const hooks = asText(values.hooks) ?? environment.NIGHTLATCH_HOOKS
  return { settings: settings as Settings, config, hooks, help: values.help === true, words: positionals }
}

export function describeSettings(): string {
  const lines = names.map((name) => {
    const placeholder = known[name].kind === 'switch' ? '' : ' …'
    return `  ${`--${flagOf(name)}${placeholder}`.padEnd(30)}${variableOf(name).padEnd(36)}${known[name].help}`
  })
  return lines.join('\n')
}

const names = Object.keys(known) as Name[]
const asText = (value: unknown) => (typeof value === 'string' ? value : undefined)
const flagOf = (name: Name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
const flagType = ({ kind }: Setting) =>
  kind === 'switch' ? ({ type: 'boolean' } as const) : ({ type: 'string', multiple: kind === 'list' } as const)

function variableOf(name: Name): string {
  const setting: Setting = known[name]
  return setting.variable ?? `NIGHTLATCH_${flagOf(name).replaceAll('-', '_').toUpperCase()}`
}

function serverPart(path: string): Readonly<Record<string, unknown>> {
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new ConfigProblem(`The file ${path} cannot be read as JSON.`, { cause })
  }
  const part = typeof parsed === 'object' && parsed !== null && 'server' in parsed ? parsed.server : {}
  if (typeof part !== 'object' || part === null) throw new ConfigProblem(`"server" in ${path} must be an object.`)
  const unknown = Object.keys(part).find((key) => !names.includes(key as Name))
  if (unknown !== undefined) throw new ConfigProblem(`server.${unknown} in ${path} is not a setting. There are: ${names.join(', ')}.`)
  return part as Readonly<Record<string, unknown>>
}

function readValue({ kind, least = 0 }: Setting, raw: unknown, label: string): unknown {
  switch (kind) {
    case 'number':
      if (/^[0-9]{1,10}$/.test(String(raw)) && Number(raw) >= least) return Number(raw)
      throw new ConfigProblem(`${label} must be a whole number of at least ${least}, not "${String(raw)}".`)
    case 'switch':
      if (['true', '1', 'false', '0'].includes(String(raw))) return String(raw) === 'true' || String(raw) === '1'
      throw new ConfigProblem(`${label} must be true or false, not "${String(raw)}".`)
    case 'list':
      return Array.isArray(raw) ? raw.map(String) : String(raw).split(',')
    case 'text':
      return String(raw)
  }
}
