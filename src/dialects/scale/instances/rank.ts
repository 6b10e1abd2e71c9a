// Where a value stands among sorted ones: how rows are sorted by plain numbers, without comparing rows.

/** How many values of a sorted list are below one. */
export function rankOf(sortedValues: Float64Array, value: number): number {
  let [low, high] = [0, sortedValues.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sortedValues[middle]! >= value) high = middle
    else low = middle + 1
  }
  return low
}
