// Uploads a file with tus-js-client, and prints the seconds from the start to success.
// Arguments: the folder with node_modules, the server's URL, the file, bytes a chunk, uploads at once.
import { createRequire } from 'node:module'
import { createReadStream } from 'node:fs'
import { performance } from 'node:perf_hooks'

const [packages, endpoint, file, chunkSize, parallelUploads] = process.argv.slice(2)
const tus = createRequire(`${packages}/package.json`)('tus-js-client')

const began = performance.now()
new tus.Upload(createReadStream(file), {
  endpoint,
  chunkSize: Number(chunkSize),
  parallelUploads: Number(parallelUploads),
  metadata: { filename: 'bench' },
  retryDelays: null,
  onError: (error) => {
    throw error
  },
  onSuccess: () => console.log((performance.now() - began) / 1000),
}).start()
