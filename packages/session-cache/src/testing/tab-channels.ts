import type { Channel, Channels } from '@nightlatch/auth-core/world'

/** Channels between "tabs" of one realm that carry anything a browser's would, CryptoKeys included (Node's own cannot). */
export function tabChannels(): Channels & { muted: boolean; delayMs: number } {
  const open = new Map<string, Set<(message: unknown) => void>>()
  const channels = {
    muted: false,
    delayMs: 0,
    open(name: string): Channel {
      const here = open.get(name) ?? new Set()
      open.set(name, here)
      const own = new Set<(message: unknown) => void>()
      return {
        post(message) {
          if (channels.muted) return
          const copy = structuredClone(message)
          const others = [...here].filter((listener) => !own.has(listener))
          const deliver = () => {
            for (const listener of others) if (here.has(listener)) listener(copy)
          }
          if (channels.delayMs > 0) setTimeout(deliver, channels.delayMs)
          else queueMicrotask(deliver)
        },
        listen(listener) {
          own.add(listener)
          here.add(listener)
          return () => {
            own.delete(listener)
            here.delete(listener)
          }
        },
        close() {
          for (const listener of own) here.delete(listener)
          own.clear()
        },
      }
    },
  }
  return channels
}
