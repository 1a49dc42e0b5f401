import { deleteEverything } from '../testing/browser-databases.ts'
import { keyProviderContract } from '../testing/key-provider-contract.ts'
import { webKeyProvider } from './web-key-provider.ts'

let devices = 0

keyProviderContract('IndexedDB', () => {
  devices += 1
  const appId = `keys-${devices}`
  const open: ReturnType<typeof webKeyProvider>[] = []
  return {
    openProvider() {
      const provider = webKeyProvider(appId)
      open.push(provider)
      return provider
    },
    async dispose() {
      await Promise.all(open.map((provider) => provider.close()))
      await deleteEverything()
    },
  }
})
