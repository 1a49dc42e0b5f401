import { chmodSync, rmSync } from 'node:fs'
import { createServer, request, type Server } from 'node:http'
import { join } from 'node:path'
import { z } from 'zod'
import { type AdminCommand, type CommandContext, commandProblem, runAdminCommand } from './commands.ts'

const socketOf = (dataDir: string) => (process.platform === 'win32' ? undefined : join(dataDir, 'admin.sock'))
/** `sun_path` is this short, and the kernel cuts no name in two. */
const MAX_PATH = 100

const commandShape = z.object({
  words: z.array(z.string()),
  flags: z.record(z.string(), z.union([z.string(), z.boolean()]).optional()),
  cwd: z.string(),
})
const eventShape = z.union([
  z.object({ out: z.string() }),
  z.object({ err: z.string() }),
  z.object({ problem: z.string() }),
  z.object({ done: z.literal(true) }),
])

/**
 * Takes commands of the administrator while the server runs: a database in a directory has one owner, and streams are cut at once.
 * The socket's file is for the server's own account only, like the data directory.
 */
export async function listenForCommands(
  dataDir: string,
  context: Pick<CommandContext, 'services' | 'keyFile'>,
): Promise<Server | undefined> {
  const path = socketOf(dataDir)
  if (path === undefined || Buffer.byteLength(path) > MAX_PATH) return undefined
  rmSync(path, { force: true })
  const http = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const tell = (event: z.output<typeof eventShape>) => outgoing.write(`${JSON.stringify(event)}\n`)
      void (async () => {
        try {
          const command = commandShape.parse(JSON.parse(Buffer.concat(chunks).toString()))
          await runAdminCommand(command, { ...context, out: (out) => tell({ out }), err: (err) => tell({ err }) })
          tell({ done: true })
        } catch (error) {
          context.services.log.error('admin-command-failed', error)
          tell({ problem: commandProblem(error) ?? 'The command failed; the server’s log says where.' })
        }
        outgoing.end()
      })()
    })
  })
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject)
    http.listen(path, resolve)
  })
  chmodSync(path, 0o600)
  return http
}

/** Has the running server do it. @returns `undefined` when none is running there, else whether it was done */
export async function sendCommand(
  dataDir: string,
  command: AdminCommand,
  { out, err }: Pick<CommandContext, 'out' | 'err'>,
): Promise<boolean | undefined> {
  const socketPath = socketOf(dataDir)
  if (socketPath === undefined) return undefined
  return new Promise((resolve) => {
    const asking = request({ socketPath, method: 'POST', path: '/' }, (answer) => {
      let rest = ''
      let done = false
      answer.setEncoding('utf8')
      answer.on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) {
          const event = eventShape.parse(JSON.parse(line))
          if ('out' in event) out(event.out)
          else if ('err' in event) err(event.err)
          else if ('problem' in event) err(`${event.problem}\n`)
          else done = true
        }
      })
      answer.on('close', () => resolve(done))
    })
    asking.on('error', () => resolve(undefined)) // nobody listens
    asking.end(JSON.stringify(command))
  })
}
