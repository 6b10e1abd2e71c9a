// Jobs of one's own: a task in JavaScript (TypeScript is read as well), one in Python, and a workflow of both.

export const registeredJobs = {
  heat_index: {
    type: 'task',
    task: {
      name: 'example:heat_index',
      inputs: [
        { kind: 'raster', name: 'temperature', isRequired: true },
        { kind: 'number', name: 'threshold', isRequired: false },
      ],
      outputs: [{ kind: 'int', name: 'hot_cells', isRequired: false }],
      execute({ temperature, threshold = 30 }, { progress }) {
        let hot = 0
        for (const [index, value] of temperature.data.entries()) {
          if (temperature.mask?.[index] !== 1 && value > threshold) hot++
          if (index % 1_000_000 === 0) progress(index / temperature.data.length)
        }
        return hot
      },
    },
  },
  smooth: {
    type: 'command',
    name: 'example:smooth',
    command: ['python3', './smooth.py'],
    inputs: [
      { name: 'raster_in', type: 'raster' },
      { name: 'passes', type: 'int', args: [[], { required: false }] },
    ],
    outputs: [
      { name: 'raster_out', type: 'raster' },
      { name: 'mean', type: 'number' },
    ],
    publishRasterResults: true,
    resultsRenderer: raster => ({
      type: 'stretched',
      colors: [
        [raster.min(), '#ffffb2'],
        [raster.max(), '#bd0026'],
      ],
    }),
  },
  smooth_twice: { type: 'workflow', path: './smooth-twice.json', publishRasterResults: true },
}
