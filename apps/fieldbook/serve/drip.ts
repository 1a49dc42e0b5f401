import { Transform } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { LinkPace } from './link-mode.ts'

/** A stream that lets bytes through at the pace of a slow link: nothing before `latencyMs`, then small pieces. */
export function drip({ latencyMs, bytesPerSecond }: LinkPace): Transform {
  const pieceLength = Math.max(1, Math.floor(bytesPerSecond / 10))
  let begun = false
  return new Transform({
    async transform(chunk: Buffer, _encoding, done) {
      if (!begun) await delay(latencyMs)
      begun = true
      for (let start = 0; start < chunk.length && !this.destroyed; start += pieceLength) {
        const piece = chunk.subarray(start, start + pieceLength)
        this.push(piece)
        await delay((piece.length / bytesPerSecond) * 1000)
      }
      done()
    },
  })
}
