import type { World } from '@nightlatch/auth-core/world'

/** A world whose timers and messages stand still on demand, as those of a frozen tab. */
export function freezableWorld(world: World): { readonly world: World; freeze(): void; thaw(): void } {
  let frozen = false
  const missed: (() => void)[] = []
  const whenAwake = (work: () => void) => (frozen ? void missed.push(work) : work())
  return {
    world: {
      ...world,
      timers: { start: (delayMs, callback, options) => world.timers.start(delayMs, () => whenAwake(callback), options) },
      channels: {
        open: (name) => {
          const channel = world.channels.open(name)
          return {
            post: (message) => whenAwake(() => channel.post(message)),
            listen: (listener) => channel.listen((message) => whenAwake(() => listener(message))),
            close: () => channel.close(),
          }
        },
      },
    },
    freeze: () => {
      frozen = true
    },
    thaw: () => {
      frozen = false
      for (const work of missed.splice(0)) work()
    },
  }
}
