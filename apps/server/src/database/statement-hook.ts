import type { KyselyPlugin, PluginTransformQueryArgs, PluginTransformResultArgs } from 'kysely'

/** Calls `before` ahead of every statement, so that a test can let one fail. */
export class StatementHook implements KyselyPlugin {
  readonly #before: () => void

  constructor(before: () => void) {
    this.#before = before
  }

  transformQuery({ node }: PluginTransformQueryArgs) {
    this.#before()
    return node
  }

  async transformResult({ result }: PluginTransformResultArgs) {
    return result
  }
}
