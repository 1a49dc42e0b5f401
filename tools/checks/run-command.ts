import { spawn } from 'node:child_process'

export type CommandResult = { exitCode: number; output: string }

/** Runs a command to its end and gives its output, both streams in the order they came. */
export function runCommand(command: string, args: string[], cwd: string): Promise<CommandResult> {
  const { FORCE_COLOR: _, ...environment } = process.env
  const env = { ...environment, NO_COLOR: '1' }
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8')
      stream.on('data', (text: string) => {
        output += text
      })
    }
    child.on('error', (error) => resolve({ exitCode: 127, output: `${command} could not be started: ${error.message}` }))
    child.on('close', (code, signal) =>
      resolve({ exitCode: code ?? 1, output: signal ? `${output}\n${command} was ended by ${signal}` : output }),
    )
  })
}
