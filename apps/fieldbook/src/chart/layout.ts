export interface Scale {
  readonly ticks: readonly number[]
  /** Where a value stands, from 0 (first tick) to 1 (last tick). */
  readonly position: (value: number) => number
}

const STEPS = [1, 2, 5, 10]

/** A scale over `min`…`max` with round ticks, about `wanted` of them. */
export function roundScale(min: number, max: number, wanted: number): Scale {
  const rough = Math.max(max - min, Number.EPSILON) / Math.max(wanted - 1, 1)
  const magnitude = 10 ** Math.floor(Math.log10(rough))
  const step = (STEPS.find((factor) => factor * magnitude >= rough) ?? 10) * magnitude
  const [first, last] = [Math.floor(min / step), Math.ceil(max / step)]
  const ticks = Array.from({ length: Math.max(last - first, 1) + 1 }, (_, index) => (first + index) * step)
  const [start, span] = [first * step, Math.max(last - first, 1) * step]
  return { ticks, position: (value) => (value - start) / span }
}

export interface Dot {
  readonly x: number
  readonly y: number
}

/**
 * Dots on a line that do not cover one another: each value gets the place closest to the line that is still free at its `x`.
 *
 * @param xs ascending, in the same unit as `diameter`
 */
export function swarm(xs: readonly number[], diameter: number): readonly Dot[] {
  const placed: Dot[] = []
  for (const x of xs) {
    const near = placed.filter((dot) => x - dot.x < diameter)
    const free = (y: number) => near.every((dot) => (x - dot.x) ** 2 + (y - dot.y) ** 2 >= diameter ** 2 - 1e-6)
    const candidates = near
      .flatMap((dot) => {
        const height = Math.sqrt(diameter ** 2 - (x - dot.x) ** 2)
        return [dot.y - height, dot.y + height]
      })
      .sort((a, b) => Math.abs(a) - Math.abs(b))
    placed.push({ x, y: [0, ...candidates].find(free) ?? 0 })
  }
  return placed
}
