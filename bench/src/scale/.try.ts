import { scaleSuites } from './index.ts'

for (const s of scaleSuites)
  if (!process.argv[2] || s.name === process.argv[2])
    console.log(s.name, JSON.stringify(await s.run(), null, 1))
