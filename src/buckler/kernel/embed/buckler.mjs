// An `ngram` bundle in JavaScript: the same bits as everywhere, in a browser or in Node.
//
//     const scorer = await load(await readFile("buckler.wasm"), await readFile("model.bkm"));
//     scorer.score("http://example.com/")  // { score, detected, outputs }

export async function load(wasm, model) {
  const { instance } = await WebAssembly.instantiate(wasm, {});
  const c = instance.exports;
  if (c._initialize) c._initialize();
  const bytes = (address, length) => new Uint8Array(c.memory.buffer, address, length);
  const place = c.bk_alloc(model.length);
  bytes(place, model.length).set(model);
  const problem = c.bk_open(place, model.length);
  if (problem) {
    const text = bytes(problem, 200);
    throw new Error(new TextDecoder().decode(text.slice(0, text.indexOf(0))));
  }
  const encoder = new TextEncoder();
  return {
    score(text) {
      const data = typeof text === "string" ? encoder.encode(text) : text;
      const address = c.bk_alloc(data.length + 1);
      bytes(address, data.length).set(data);
      const score = c.bk_score(address, data.length);
      c.bk_free(address);
      const outputs = new Float32Array(c.memory.buffer, c.bk_outputs(), c.bk_n_outputs()).slice();
      return { score, detected: score >= c.bk_threshold(), outputs };
    },
  };
}
