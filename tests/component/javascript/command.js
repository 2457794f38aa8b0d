import { getArguments, getEnvironment } from "wasi:cli/environment@0.2.12";
import { getStdout } from "wasi:cli/stdout@0.2.12";
import { exit } from "wasi:cli/exit@0.2.12";

function print(text) {
  const bytes = Array.from(`${text}\n`, (character) => character.charCodeAt(0));
  getStdout().blockingWriteAndFlush(new Uint8Array(bytes));
}

export const run = {
  run() {
    const words = getArguments().slice(1);
    print(`hello ${words.join(" ")}`);
    for (const [name, value] of getEnvironment()) {
      print(`${name} is ${value}`);
    }
    if (words[0] === "exit") {
      exit({ tag: "err" });
    }
    if (words[0] === "fail") {
      throw undefined;
    }
  },
};
