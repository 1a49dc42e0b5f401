#!/usr/bin/env node
// Makes `npm start`, `npm test` and `npm run build` work on a bare machine: installs pnpm and the locked dependencies (with the right
// Node among them) where they are missing, then hands over to the inner command. No dependencies, plain JavaScript:
// nothing else can be relied on before the install. Node 18 is enough on Linux.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PNPM_VERSION = '12.21.0'
const INNER_COMMANDS = {
  start: ['tools/start/start.ts'],
  test: ['tools/test/run-tests.ts'],
  'test:deep': ['tools/test/run-deep-tests.ts'],
  build: ['node_modules/turbo/bin/turbo', 'run', 'build'],
}

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const bootstrapFolder = join(root, '.bootstrap')
const pnpmFolder = join(bootstrapFolder, `pnpm-${PNPM_VERSION}`)
const binFolders = [join(root, 'node_modules', '.bin'), join(pnpmFolder, 'node_modules', '.bin')]
/** Inside node_modules, so that whoever deletes that folder deletes the claim that it is complete, too. */
const stamp = join(root, 'node_modules', '.nightlatch-installed')

/** A reason to stop that the reader can act on: it is printed without a stack. */
class Refusal extends Error {}

main(process.argv.slice(2)).then(
  (exitCode) => process.exit(exitCode),
  (error) => {
    console.error(error instanceof Refusal ? error.message : error)
    process.exit(1)
  },
)

async function main([command, ...rest]) {
  const innerCommand = INNER_COMMANDS[command]
  if (!innerCommand) throw new Refusal(`Unknown command ${command}: use ${Object.keys(INNER_COMMANDS).join(' or ')}.`)
  refuseOldNode()
  if (!isInstalled()) await underInstallLock(install)
  const args = ['--disable-warning=ExperimentalWarning', '--import', stopWithParent(), ...innerCommand, ...rest]
  return handOver(innerNode(), args)
}

function refuseOldNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (fetchesNode() ? major >= 18 : major > 22 || (major === 22 && minor >= 18)) return
  const needed = fetchesNode() ? '18' : '22.18'
  throw new Refusal(`Nightlatch needs Node ${needed} or newer here, and this is Node ${process.versions.node}.`)
}

/** Whether the lockfile brings the right Node for this machine. */
function fetchesNode() {
  return process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64')
}

function innerNode() {
  return fetchesNode() ? join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node') : process.execPath
}

function stopWithParent() {
  return new URL('../start/stop-with-parent.mjs', import.meta.url).href
}

function isInstalled() {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === whatIsLocked() && existsSync(innerNode()) && existsSync(pnpmFolder)
}

/** A digest of everything that decides what an install puts on the disk. */
function whatIsLocked() {
  const digest = createHash('sha256').update(`${process.platform} ${process.arch}\n`)
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', ...manifests()]) digest.update(file).update(readFileSync(join(root, file)))
  return digest.digest('hex')
}

function manifests() {
  const workspaces = ['packages', 'apps', 'tools'].flatMap((group) => readdirSync(join(root, group)).map((name) => `${group}/${name}`))
  return ['.', ...workspaces.sort()].map((folder) => `${folder}/package.json`).filter((file) => existsSync(join(root, file)))
}

async function install() {
  if (isInstalled()) return // another run installed it while this one waited
  rmSync(stamp, { force: true })
  if (!existsSync(pnpmFolder)) await installPnpm()
  console.log('Installing the locked dependencies…')
  const pnpm = join(pnpmFolder, 'node_modules', '.bin', 'pnpm')
  // CI=true: replace a node_modules folder of another layout instead of asking.
  const exitCode = await run(pnpm, ['install', '--frozen-lockfile'], { env: { ...process.env, CI: 'true' } })
  if (exitCode !== 0) throw new Refusal(`Installing the dependencies failed (pnpm ended with ${exitCode}); run the command again to retry.`)
  writeFileSync(stamp, whatIsLocked())
}

/** Installs beside the final place and renames: a half-done install is never taken for a whole one. */
async function installPnpm() {
  console.log(`Installing pnpm ${PNPM_VERSION}…`)
  const attempt = `${pnpmFolder}.attempt`
  rmSync(attempt, { recursive: true, force: true })
  mkdirSync(attempt, { recursive: true })
  const npmArgs = ['install', '--prefix', attempt, '--no-save', '--no-audit', '--no-fund', '--loglevel=error', `pnpm@${PNPM_VERSION}`]
  const npmScript = process.env.npm_execpath
  const exitCode = npmScript?.endsWith('npm-cli.js') ? await run(process.execPath, [npmScript, ...npmArgs]) : await run('npm', npmArgs)
  if (exitCode !== 0) throw new Refusal(`Installing pnpm failed (npm ended with ${exitCode}); run the command again to retry.`)
  renameSync(attempt, pnpmFolder)
}

/** Two runs in one working tree must not install into it at the same time. */
async function underInstallLock(work) {
  const lock = join(bootstrapFolder, 'install.lock')
  const mine = `${lock}.${process.pid}`
  mkdirSync(bootstrapFolder, { recursive: true })
  writeFileSync(mine, String(process.pid))
  try {
    await takeLock(lock, mine)
    const heartbeat = setInterval(() => utimesSync(lock, new Date(), new Date()), 1000)
    try {
      return await work()
    } finally {
      clearInterval(heartbeat)
      rmSync(lock, { force: true })
    }
  } finally {
    rmSync(mine, { force: true })
  }
}

async function takeLock(lock, mine) {
  for (let waited = false; ; waited = true) {
    try {
      linkSync(mine, lock) // appears with its owner's id inside, or not at all
      return
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (isAbandoned(lock)) rmSync(lock, { force: true })
    else {
      if (!waited) console.log('Waiting for another run that installs…')
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
  }
}

/** The owner is gone, or it has been silent so long that its id must belong to another process by now. */
function isAbandoned(lock) {
  try {
    if (Date.now() - statSync(lock).mtimeMs > 10_000) return true
    process.kill(Number(readFileSync(lock, 'utf8')), 0)
    return false
  } catch (error) {
    return error.code === 'ESRCH'
  }
}

/** Runs a command to its end with this terminal. Resolves to its exit code, or to its signal's name. */
function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', shell: process.platform === 'win32', ...options })
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve(code ?? signal))
  })
}

/** Passes signals on (after Ctrl-C the inner command sees two) and stays until it has ended. */
function handOver(node, args) {
  const path = [...binFolders, process.env.PATH].join(delimiter)
  const env = { ...process.env, PATH: path, TURBO_TELEMETRY_DISABLED: '1' }
  const child = spawn(node, args, { cwd: root, env, stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  stopWithNpm(() => child.kill('SIGTERM'))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => resolve(code ?? 1))
  })
}

/** npm passes a SIGTERM on to the shell between it and this process, and that shell dies of it without telling anybody. */
function stopWithNpm(stop) {
  if (!process.env.npm_lifecycle_event) return
  const shell = process.ppid
  setInterval(() => process.ppid !== shell && stop(), 500).unref()
}
