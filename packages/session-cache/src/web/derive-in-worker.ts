import { isPlainObject } from '../encoding.ts'
import { type DeriveKey, deriveKey, type KdfSettings } from '../key-derivation.ts'

/** The worker cannot be started here (a content security policy, no module workers). */
class NoWorker extends Error {
  override readonly name = 'NoWorker'
}

/** Argon2id in a worker of its own, which ends with the call and takes its 64 MiB along; on this thread where there are no workers. */
export const deriveInWorker: DeriveKey = async (secret, salt, settings) => {
  if (settings.name !== 'argon2id' || typeof Worker === 'undefined') return deriveKey(secret, salt, settings)
  try {
    return await inWorker({ secret, salt, ...settings })
  } catch (error) {
    if (error instanceof NoWorker) return deriveKey(secret, salt, settings)
    throw error
  }
}

/** Whether the settings can be computed here: a content security policy without `wasm-unsafe-eval` forbids WebAssembly. */
export async function canDeriveHere({ name }: KdfSettings): Promise<boolean> {
  if (name === 'pbkdf2') return true
  try {
    await WebAssembly.compile(emptyModule)
    return true
  } catch {
    return false
  }
}

/** The smallest module: magic number and version. */
const emptyModule = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])

function inWorker(job: object): Promise<Uint8Array<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const worker = startWorker()
    worker.onmessage = ({ data }: MessageEvent<unknown>) => {
      worker.terminate()
      if (isPlainObject(data) && data.hash instanceof Uint8Array) resolve(new Uint8Array(data.hash))
      else reject(new Error('The key could not be derived: the worker ran out of memory or may not compile WebAssembly.'))
    }
    worker.onerror = () => {
      worker.terminate()
      reject(new NoWorker('The worker did not start.'))
    }
    worker.postMessage(job)
  })
}

function startWorker(): Worker {
  try {
    return new Worker(new URL('./argon2-worker.js', import.meta.url), { type: 'module', name: 'nightlatch-argon2' })
  } catch {
    throw new NoWorker('Workers are not allowed here.')
  }
}
