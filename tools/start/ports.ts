import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'

export type Ports = { server: number; fieldbook: number }

/** A reason not to start that the reader can act on. */
export class StartRefusal extends Error {
  override readonly name = 'StartRefusal'
}

/**
 * Gives the ports of this data folder: chosen at the first start, the same ever after, because a browser keeps
 * the fieldbook's data under its origin and the port is part of that.
 *
 * @param preferred What to take at the first start; where a port is taken by then, the next free one.
 * @throws {StartRefusal} A port chosen earlier is taken now.
 */
export async function portsOf(dataFolder: string, preferred: Ports): Promise<Ports> {
  const file = join(dataFolder, 'ports.json')
  const chosen = await readPorts(file)
  if (chosen) {
    await refuseTaken(chosen, file)
    return chosen
  }
  const server = await nextFree(preferred.server, [])
  const ports = { server, fieldbook: await nextFree(preferred.fieldbook, [server]) }
  await mkdir(dataFolder, { recursive: true })
  await writeFile(`${file}.new`, `${JSON.stringify(ports)}\n`)
  await rename(`${file}.new`, file) // a crash leaves the whole file or none
  return ports
}

async function readPorts(file: string): Promise<Ports | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch {
    return undefined
  }
  const ports = parsePorts(text)
  if (!ports) throw new StartRefusal(`${file} does not hold two ports; delete it to choose new ones.`)
  return ports
}

function parsePorts(text: string): Ports | undefined {
  try {
    const { server, fieldbook } = JSON.parse(text) as Partial<Ports>
    return isPort(server) && isPort(fieldbook) ? { server, fieldbook } : undefined
  } catch {
    return undefined
  }
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) < 65_536
}

async function refuseTaken(ports: Ports, file: string): Promise<void> {
  for (const [name, port] of Object.entries(ports)) {
    if (await isFree(port)) continue
    throw new StartRefusal(
      `Port ${port} of the ${name} is taken (by another npm start?): free it, or delete ${file} to choose new ports, which starts with an empty browser.`,
    )
  }
}

async function nextFree(from: number, except: number[]): Promise<number> {
  for (let port = from; port < from + 200; port += 1) {
    if (!except.includes(port) && (await isFree(port))) return port
  }
  throw new StartRefusal(`Of the 200 ports from ${from} on none is free.`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)))
  })
}
