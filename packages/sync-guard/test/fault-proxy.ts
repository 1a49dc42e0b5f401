import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'

export type NetworkFault = 'none' | 'drop-before' | 'drop-after' | 'stall' | 'cut' | 'duplicate'

/** A TCP proxy in front of an HTTP server that does to connections what bad links do. */
export class FaultProxy {
  readonly hits: Record<NetworkFault, number> = { none: 0, 'drop-before': 0, 'drop-after': 0, stall: 0, cut: 0, duplicate: 0 }
  /** Chosen for every request as it begins. */
  next: () => NetworkFault = () => 'none'
  readonly #target: URL
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer((client) => this.#serve(client))
  url = ''

  static async start(target: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(new URL(target))
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    proxy.url = `http://127.0.0.1:${(proxy.#server.address() as AddressInfo).port}`
    return proxy
  }

  private constructor(target: URL) {
    this.#target = target
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #serve(client: Socket): void {
    let fault: NetworkFault = 'none'
    this.#track(client)
    const server = this.#connect()
    server.on('close', () => client.destroy())
    client.on('close', () => server.destroy())
    client.on('data', (chunk) => {
      if (/^(GET|POST) /.test(chunk.subarray(0, 5).toString())) fault = this.next()
      this.hits[fault] += 1
      if (fault === 'drop-before') return void client.destroy()
      server.write(chunk)
      if (fault === 'duplicate') this.#repeat(chunk)
    })
    server.on('data', (chunk) => {
      if (fault === 'stall') return void setTimeout(() => client.destroy(), 100)
      if (fault === 'drop-after') return void client.destroy() // the server has done it, nobody hears of it
      if (fault !== 'cut') return void client.write(chunk)
      client.write(chunk.subarray(0, Math.floor(chunk.length / 2)))
      client.destroy()
    })
  }

  /** The same request once more on a connection of its own, as a retrying middlebox sends it. */
  #repeat(chunk: Buffer): void {
    const twin = this.#connect()
    twin.write(chunk)
    setTimeout(() => twin.destroy(), 200)
  }

  #connect(): Socket {
    const socket = connect(Number(this.#target.port), this.#target.hostname)
    this.#track(socket)
    return socket
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
  }
}
