// What OPTIONS says about the two resources of the job API.

const forms = {
  renders: ['application/json', 'text/html'],
  parses: ['application/json', 'application/x-www-form-urlencoded', 'multipart/form-data'],
}

const field = (type: string, label: string, more: object = {}): object => ({
  type,
  required: false,
  read_only: true,
  label,
  ...more,
})

const required = { required: true, read_only: false }

export const listDescription = {
  name: 'Processing Jobs Viewset List',
  description: '',
  ...forms,
  actions: {
    POST: {
      uuid: field('string', 'Uuid'),
      job: field('string', 'Job', { ...required, max_length: 100 }),
      created: field('datetime', 'Created'),
      status: field('string', 'Status'),
      inputs: field('field', 'Inputs', required),
      outputs: field('field', 'Outputs'),
    },
  },
}

export const instanceDescription = { name: 'Processing Jobs Viewset Instance', description: '', ...forms }
