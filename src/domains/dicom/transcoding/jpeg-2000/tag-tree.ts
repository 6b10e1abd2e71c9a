// Tag trees (ITU T.800 B.10.2): numbers of a grid, of which headers tell a little more each time, and of many at once.

interface Node {
  readonly parent: number
  /** The least that the number can be, as far as is known. */
  low: number
  isKnown: boolean
}

export class TagTree {
  readonly #nodes: Node[] = []

  constructor(wide: number, high: number) {
    let [width, height] = [wide, high]
    while (width > 0 && height > 0) {
      const isRoot = width === 1 && height === 1
      const above = this.#nodes.length + width * height
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const parent = isRoot ? -1 : above + (y >> 1) * ((width + 1) >> 1) + (x >> 1)
          this.#nodes.push({ parent, low: 0, isKnown: false })
        }
      }
      if (isRoot) return
      width = (width + 1) >> 1
      height = (height + 1) >> 1
    }
  }

  /** Whether the number of a leaf is below a limit, as far as that needs bits to be read. */
  isBelow(leaf: number, limit: number, bit: () => number): boolean {
    const path: Node[] = []
    for (let at = leaf; at >= 0; ) {
      const node = this.#nodes[at]!
      path.push(node)
      at = node.parent
    }
    let low = 0
    for (let index = path.length - 1; index >= 0; index--) {
      const node = path[index]!
      if (node.low < low) node.low = low
      while (!node.isKnown && node.low < limit) {
        if (bit() === 1) node.isKnown = true
        else node.low++
      }
      low = node.low
    }
    return path[0]!.isKnown && low < limit
  }
}
