import { randomBytes } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { apiKeyName } from '../accounts/api-keys.ts'
import { ConfigProblem } from '../config.ts'
import { ApiError } from '../http/api-error.ts'
import type { Services } from '../services.ts'
import { Admin } from './admin.ts'
import { type ImportedUser, importUsers } from './import-users.ts'

export const adminUsage = `  nightlatch-server users list [--search TEXT] [--after ID] [--limit N]
  nightlatch-server users show|audit|disable|enable|revoke|delete USER
  nightlatch-server users set-data USER JSON
  nightlatch-server users import FILE [--custom-data FILE] [--user-id-field NAME] [--jwt-issuer NAME] [--dry-run] [--report FILE]
  nightlatch-server sessions list USER | sessions revoke SESSION | sessions wipe DEVICE
  nightlatch-server keys list | keys create NAME | keys enable|disable|delete KEY     server API keys, and users' keys by id
  nightlatch-server keys rotate [--revoke] | keys add-secret                          signing keys, and the key file
  nightlatch-server scopes list USER | scopes set SCOPE USER reader|writer | scopes remove SCOPE USER
  nightlatch-server data show USER | data purge
`

const families = ['users', 'sessions', 'keys', 'scopes', 'data']
const options = {
  search: { type: 'string' },
  after: { type: 'string' },
  limit: { type: 'string' },
  'custom-data': { type: 'string' },
  'user-id-field': { type: 'string' },
  'jwt-issuer': { type: 'string' },
  report: { type: 'string' },
  'dry-run': { type: 'boolean' },
  revoke: { type: 'boolean' },
} as const

export interface AdminCommand {
  readonly words: readonly string[]
  readonly flags: Readonly<Record<string, string | boolean | undefined>>
  /** Where relative paths start. */
  readonly cwd: string
}

/** Takes the flags of commands out of `args`; what is left are words and settings. `undefined` if it is no command of the administrator's. */
export function readAdminCommand(
  args: readonly string[],
  cwd: string,
): { readonly command: AdminCommand; readonly settings: readonly string[] } | undefined {
  if (!families.includes(args[0] ?? '')) return undefined
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true })
  const words: string[] = []
  const settings: string[] = []
  const flags: Record<string, string | boolean | undefined> = {}
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]
    if (token?.kind === 'option' && token.name in options) flags[token.name] = token.value ?? true
    else if (token?.kind === 'option') {
      const next = tokens[at + 1]
      const takesNext = token.value === undefined && next?.kind === 'positional' && token.name !== 'dev-routes' && token.name !== 'help'
      settings.push(token.rawName, ...(token.value === undefined ? [] : [token.value]), ...(takesNext ? [next.value] : []))
      if (takesNext) at += 1
    } else if (token?.kind === 'positional') words.push(token.value)
  }
  return { command: { words, flags, cwd }, settings }
}

export interface CommandContext {
  readonly services: Services
  readonly keyFile: string
  /** Results, for whoever reads along or pipes them on. */
  readonly out: (text: string) => void
  /** Progress. */
  readonly err: (text: string) => void
}

/** Runs one command. @throws {ConfigProblem} for one that does not exist @throws {ApiError} `not_found` */
export async function runAdminCommand({ words, flags, cwd }: AdminCommand, context: CommandContext): Promise<void> {
  const { services, out, err } = context
  const admin = new Admin(services)
  const { users } = admin
  const print = (value: unknown) => out(`${JSON.stringify(value, null, 2)}\n`)
  const [family, verb, first, second, third] = words
  const user = async (word = first) => users.find(given(word, 'USER'))
  const text = (name: string) => (typeof flags[name] === 'string' ? flags[name] : undefined)

  switch (`${family} ${verb}`) {
    case 'users list':
      for (const row of await users.list({ search: text('search'), after: text('after'), limit: Number(text('limit') ?? 100) }))
        out(`${JSON.stringify(row)}\n`)
      return
    case 'users show':
      return print(await users.show(await user()))
    case 'users audit':
      return print(await users.auditTrail(given(first, 'USER'), Number(text('limit') ?? 100)))
    case 'users disable':
      return admin.disableUser(await user())
    case 'users enable':
      return admin.enableUser(await user())
    case 'users revoke':
      return print({ ended: await admin.revokeSessions(await user()) })
    case 'users delete':
      return users.delete(await user())
    case 'users set-data':
      return users.setCustomData(await user(), readObject(given(second, 'JSON')))
    case 'users import':
      return importCommand(resolve(cwd, given(first, 'FILE')), { words, flags, cwd }, context)
    case 'sessions list':
      return print((await users.show(await user())).sessions)
    case 'sessions revoke':
      return print({ ended: await users.revokeSession(given(first, 'SESSION')) })
    case 'sessions wipe':
      return users.wipeDevice(given(first, 'DEVICE'))
    case 'keys list':
      return print(await users.listServerKeys())
    case 'keys create':
      return print(await users.createServerKey(checkedName(given(first, 'NAME'))))
    case 'keys enable':
    case 'keys disable':
    case 'keys delete':
      return users.changeKey(given(first, 'KEY'), verb as 'enable' | 'disable' | 'delete')
    case 'keys rotate':
      return users.rotateSigningKey(flags.revoke === true)
    case 'keys add-secret':
      addSecret(context.keyFile)
      err('Added. Copy the key file to every instance, then restart them one after the other.\n')
      return
    case 'scopes list':
      return print((await users.show(await user())).scopes)
    case 'scopes set':
      return admin.setMember(checkedScope(given(first, 'SCOPE')), await user(second), checkedRole(third))
    case 'scopes remove':
      return admin.setMember(checkedScope(given(first, 'SCOPE')), await user(second), null)
    case 'data show':
      return print((await users.show(await user())).documents)
    case 'data purge':
      return print({ tombstones: await admin.purge() })
    default:
      throw new ConfigProblem(`There is no command "${words.join(' ')}". These exist:\n${adminUsage}`)
  }
}

async function importCommand(file: string, { flags, cwd }: AdminCommand, { services, out, err }: CommandContext): Promise<void> {
  const path = (name: string) => (typeof flags[name] === 'string' ? resolve(cwd, flags[name]) : undefined)
  const report: ImportedUser[] = []
  let count = 0
  const dryRun = flags['dry-run'] === true
  const summary = await importUsers(
    services,
    {
      file,
      customData: path('custom-data'),
      userIdField: typeof flags['user-id-field'] === 'string' ? flags['user-id-field'] : undefined,
      jwtIssuer: typeof flags['jwt-issuer'] === 'string' ? flags['jwt-issuer'] : undefined,
      dryRun,
    },
    (user) => {
      if (user.outcome === 'refused' || user.notes.length > 0) report.push(user)
      if (++count % 500 === 0) err(`\r${count} users`)
    },
  )
  err(`\r${count} users${dryRun ? ' looked at; nothing was changed' : ''}\n`)
  const reportFile = path('report')
  if (reportFile !== undefined) writeFileSync(reportFile, report.map((user) => `${JSON.stringify(user)}\n`).join(''), { mode: 0o600 })
  out(`${JSON.stringify({ ...summary, dryRun }, null, 2)}\n`)
}

/** New MACs and wrappings are made with the last key of the file from the next start on; the older ones go on being checked. */
function addSecret(path: string): void {
  const file = z
    .object({ version: z.literal(1), keys: z.array(z.object({ kid: z.string(), secret: z.string() })) })
    .parse(JSON.parse(readFileSync(path, 'utf8')))
  const kid = `k${Math.max(0, ...file.keys.map(({ kid: known }) => Number(/^k(\d+)$/.exec(known)?.[1] ?? 0))) + 1}`
  file.keys.push({ kid, secret: randomBytes(32).toString('base64url') })
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, JSON.stringify(file, null, 2), { mode: 0o600, flush: true })
  renameSync(draft, path)
}

function given(word: string | undefined, name: string): string {
  if (word === undefined) throw new ConfigProblem(`${name} is missing. Use:\n${adminUsage}`)
  return word
}

function readObject(text: string): Readonly<Record<string, unknown>> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text))
  } catch {
    throw new ConfigProblem('Custom data must be a JSON object.')
  }
}

function checkedName(name: string): string {
  if (!apiKeyName.safeParse(name).success) throw new ConfigProblem('The name of a key is made of letters, digits, _ and -.')
  return name
}

function checkedScope(scope: string): string {
  if (!/^team:[A-Za-z0-9_.-]{1,64}$/.test(scope)) throw new ConfigProblem('Members are of scopes such as team:blue.')
  return scope
}

function checkedRole(role: string | undefined): 'reader' | 'writer' {
  if (role === 'reader' || role === 'writer') return role
  throw new ConfigProblem('The role is reader or writer.')
}

/** Sentences for people; everything else is a mistake of ours. */
export const commandProblem = (error: unknown): string | undefined =>
  error instanceof ConfigProblem || error instanceof ApiError ? error.message : undefined
