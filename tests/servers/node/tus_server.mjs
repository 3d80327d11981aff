// A tus server without `concatenation`: @tus/server with @tus/file-store, as their README has it.
// Arguments: the folder with node_modules, host, port, the folder for uploads, and limits as JSON:
// {"maxSize": bytes, "expiration": milliseconds, "lockDrain": milliseconds}, 0 for none. The packages
// do not lie beside this file, which is why they are resolved by hand.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [packages, host, port, directory, json] = process.argv.slice(2)
const limits = JSON.parse(json)
const require = createRequire(`${packages}/package.json`)
const load = (name) => import(pathToFileURL(require.resolve(name)))
const { Server } = await load('@tus/server')
const { FileStore } = await load('@tus/file-store')

// A client that hangs up while the last bytes of a GET go out ends the whole process, as undici then
// closes a stream twice (Node 20.20, @tus/server 2.4.5). No test is to find its server gone for that.
process.on('uncaughtException', (error) => {
  if (error.code !== 'ERR_INVALID_STATE') throw error
})

const datastore = new FileStore({ directory, expirationPeriodInMilliseconds: limits.expiration })
const server = new Server({
  path: '/files',
  datastore,
  maxSize: limits.maxSize,
  lockDrainTimeout: limits.lockDrain,
})
server.listen({ host, port: Number(port) })
