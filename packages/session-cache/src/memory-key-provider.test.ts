import { memoryKeyProvider } from './memory-key-provider.ts'
import { keyProviderContract } from './testing/key-provider-contract.ts'

keyProviderContract('memory', () => {
  const keys = memoryKeyProvider()
  return { openProvider: () => keys }
})
