"""Smooths a raster with the mean of each cell and its neighbours: a task that needs nothing but Python itself.

It is started in a folder of its own. inputs.json holds the inputs; a raster is {"$raster": "file.nc"}, a classic
NetCDF file with the variable `data`. The outputs go into outputs.json in the same form. Lines on standard output are
the job's log; `progress 0.5` tells how far the task is. Ending with anything but 0 fails the job.

The file is patched in place of being written anew: only the cells change. With xarray or netCDF4 this is two lines.
"""

import json
import struct


def data_of(blob):
    """Where the cells of `data` are, and what they are: (offset, rows, columns, struct letter)."""
    at = [4]

    def number(form="i"):
        size = struct.calcsize(">" + form)
        value = struct.unpack_from(">" + form, blob, at[0])[0]
        at[0] += size
        return value

    def name():
        length = number()
        text = blob[at[0] : at[0] + length].decode()
        at[0] += -(-length // 4) * 4
        return text

    def skip_attributes():
        number()
        for _ in range(number()):
            name()
            size = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8}[number()]
            length = number() * size
            at[0] += -(-length // 4) * 4

    number()
    number()
    dimensions = [(name(), number()) for _ in range(number())]
    skip_attributes()
    number()
    for _ in range(number()):
        variable = name()
        shape = [dimensions[number()][1] for _ in range(number())]
        skip_attributes()
        kind, _, begin = number(), number(), number("q")
        if variable == "data":
            return begin, shape[0], shape[1], {1: "b", 3: "h", 4: "i", 5: "f", 6: "d"}[kind]
    raise SystemExit("the file has no variable data")


with open("inputs.json") as file:
    inputs = json.load(file)
with open(inputs["raster_in"]["$raster"], "rb") as file:
    content = bytearray(file.read())
begin, rows, columns, letter = data_of(content)
form = f">{rows * columns}{letter}"
cells = list(struct.unpack_from(form, content, begin))

passes = inputs.get("passes", 1)
for turn in range(passes):
    before = list(cells)
    for row in range(rows):
        for column in range(columns):
            around = [
                before[r * columns + c]
                for r in range(max(0, row - 1), min(rows, row + 2))
                for c in range(max(0, column - 1), min(columns, column + 2))
            ]
            cells[row * columns + column] = sum(around) / len(around)
    print(f"progress {(turn + 1) / passes}", flush=True)

struct.pack_into(form, content, begin, *cells)
with open("smooth.nc", "wb") as file:
    file.write(content)
with open("outputs.json", "w") as file:
    json.dump({"raster_out": {"$raster": "smooth.nc"}, "mean": sum(cells) / len(cells)}, file)
print(f"smoothed {rows} x {columns} cells")
