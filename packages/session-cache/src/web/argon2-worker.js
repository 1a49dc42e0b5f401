// Plain JavaScript, so that its URL is the same beside the sources and beside the build.
import { argon2id } from 'hash-wasm'

/** @param {MessageEvent<{ secret: Uint8Array, salt: Uint8Array, memoryKiB: number, passes: number }>} message */
self.onmessage = async ({ data }) => {
  try {
    const { secret, salt, memoryKiB, passes } = data
    const hash = await argon2id({
      password: secret,
      salt,
      memorySize: memoryKiB,
      iterations: passes,
      parallelism: 1,
      hashLength: 32,
      outputType: 'binary',
    })
    secret.fill(0)
    self.postMessage({ hash })
  } catch (error) {
    self.postMessage({ failed: error instanceof Error ? error.name : 'Error' })
  }
}
