// A plug-in in JavaScript. It is compiled by componentize-qjs, together with QuickJS.

import { log } from "example:plugins/console@1.0.0";

class Counter {
  constructor() {
    this.words = 0;
  }
  add(text) {
    this.words += text.split(/\s+/).filter(Boolean).length;
  }
  total() {
    return this.words;
  }
}

export const filter = {
  Counter,
  about() {
    return { name: "shouter", languages: ["any"] };
  },
  apply(text, language) {
    if (!text) {
      throw { tag: "empty" };
    }
    log("info", `shouting in ${language ?? "any language"}`);
    return text.toUpperCase() + "!";
  },
};
