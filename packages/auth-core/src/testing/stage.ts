import { type App, type AppOptions, createApp } from '../app.ts'
import { Credentials } from '../credentials.ts'
import { httpBackend } from '../http/http-backend.ts'
import { MemoryShelf, memorySessionStore } from '../memory-session-store.ts'
import { ScriptedServer } from './scripted-server.ts'
import { SimulatedDevice, type SimulatedTab } from './simulated-world.ts'

export const ANN = { email: 'ann@example.org', password: 'correct horse battery' }
export const BOB = { email: 'bob@example.org', password: 'purple monkey dishwasher' }

/** A device, a server with two accounts, and apps in as many tabs as a test opens. */
export function setStage({ seed = 1 }: { readonly seed?: number } = {}) {
  const device = new SimulatedDevice(seed)
  const server = new ScriptedServer(device)
  device.fetch = server.fetch
  const annId = server.register(ANN.email, ANN.password)
  const bobId = server.register(BOB.email, BOB.password)
  const shelf = new MemoryShelf()

  const openTab = (options: Partial<AppOptions> = {}): { readonly tab: SimulatedTab; readonly app: App } => {
    const tab = device.openTab()
    const app = createApp({
      id: 'fieldbook',
      backend: httpBackend(server.url),
      store: memorySessionStore(shelf),
      world: tab.world,
      ...options,
    })
    return { tab, app }
  }

  const signIn = async (app: App, account = ANN) => device.resolve(app.logIn(Credentials.emailPassword(account.email, account.password)))

  return { device, server, shelf, annId, bobId, openTab, signIn }
}

/** One tab with Ann signed in. */
export async function signedInStage(options: Partial<AppOptions> = {}) {
  const stage = setStage()
  const { tab, app } = stage.openTab(options)
  const user = await stage.signIn(app)
  return { ...stage, tab, app, user }
}

/** A token of whoever is current in this app. */
export function tokenOf({ currentUser }: App): Promise<string> {
  return currentUser ? currentUser.getAccessToken() : Promise.reject(new Error('Nobody is current.'))
}
