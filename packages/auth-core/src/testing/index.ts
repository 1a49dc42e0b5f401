export { type StoreDevice, sessionStoreContract } from './session-store-contract.ts'
