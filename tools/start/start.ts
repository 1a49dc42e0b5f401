import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Ports, portsOf, StartRefusal } from './ports.ts'
import { runPrograms } from './run-programs.ts'
import type { Program } from './supervised-process.ts'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const PREFERRED: Ports = { server: 4400, fieldbook: 4401 }

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof StartRefusal)) throw error
  console.error(error.message)
  process.exitCode = 1
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { data: { type: 'string', default: join(root, '.nightlatch') } } })
  const dataFolder = resolve(values.data)
  const firstStart = !existsSync(join(dataFolder, 'ports.json'))
  const ports = await portsOf(dataFolder, PREFERRED)
  if (firstStart) tellOtherPorts(ports)
  if (!build()) return 1

  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort())
  const exitCode = await runPrograms(programs(dataFolder, ports), {
    cwd: root,
    print: (line) => console.log(line),
    signal: stopping.signal,
    onReady: () => console.log(greeting(dataFolder, ports)),
  })
  if (stopping.signal.aborted) console.log('Nightlatch has stopped. Your data stays for the next start.')
  return exitCode
}

function programs(dataFolder: string, ports: Ports): Program[] {
  const program = (name: string, main: string, flags: Record<string, string>, ...switches: string[]): Program => ({
    name,
    args: ['--conditions=nightlatch-source', main, ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]), ...switches],
  })
  return [
    program(
      'server',
      'apps/server/src/main.ts',
      {
        port: String(ports.server),
        data: join(dataFolder, 'server'),
        config: 'apps/fieldbook/server.json',
        origin: urlOf(ports.fieldbook),
      },
      '--dev-routes', // the fieldbook's "revoke me"
    ),
    program('fieldbook', 'apps/fieldbook/serve/main.ts', { port: String(ports.fieldbook), server: urlOf(ports.server) }),
  ]
}

/** Builds what the fieldbook shows; a build of unchanged sources is taken from the cache. */
function build(): boolean {
  console.log('Building the fieldbook…')
  const args = ['run', 'build', '--filter=@nightlatch/fieldbook', '--output-logs=errors-only', '--ui=stream']
  const { status, stdout, stderr } = spawnSync(join(root, 'node_modules', '.bin', 'turbo'), args, { cwd: root, encoding: 'utf8' })
  if (status !== 0) console.error(`${stdout}${stderr}`)
  return status === 0
}

function tellOtherPorts(ports: Ports): void {
  for (const name of ['server', 'fieldbook'] as const) {
    if (ports[name] !== PREFERRED[name]) console.log(`Port ${PREFERRED[name]} is taken; the ${name} uses ${ports[name]} from now on.`)
  }
}

function greeting(dataFolder: string, ports: Ports): string {
  return `
  Fieldbook  ${urlOf(ports.fieldbook)}   open this one
  Server     ${urlOf(ports.server)}
  Data       ${dataFolder}

  Stop with Ctrl-C.
`
}

function urlOf(port: number): string {
  return `http://127.0.0.1:${port}`
}
