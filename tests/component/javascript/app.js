import { writeLine, Shelf } from "test:app/journal";

class Counter {
  constructor(start) {
    this.value = start;
  }
  increment(by) {
    this.value += by;
    return this.value;
  }
  static fromHundred() {
    return new Counter(100);
  }
}

export const shapes = {
  Counter,
  area(shape) {
    writeLine("info", `area of ${shape.tag}`);
    if (shape.tag === "circle") {
      return Math.PI * shape.val * shape.val;
    }
    if (shape.tag === "polygon") {
      let sum = 0;
      shape.val.forEach((a, n) => {
        const b = shape.val[(n + 1) % shape.val.length];
        sum += a.x * b.y - b.x * a.y;
      });
      return Math.abs(sum) / 2;
    }
    throw "nothing has no area";
  },
  total(points) {
    return points.reduce((a, b) => ({ x: a.x + b.x, y: a.y + b.y }), { x: 0, y: 0 });
  },
  describe(names, how) {
    const parts = names.map(([name, number]) => `${name}=${number ?? "none"}`);
    return `${parts.join(",")} ${how.fillIn ? "filled" : "empty"}`;
  },
};

export function useShelves(name) {
  const first = new Shelf(name);
  first.put("key", "value");
  first.put("empty", undefined);
  const second = Shelf.open(`${name} two`);
  second.put("key", "other");
  return [first.find("key"), first.find("empty"), first.find("none"), second.find("key")]
    .map(String)
    .join(" ");
}
