// An agent in the browser: one segment of thought a call, by onnxruntime-web. Nothing here draws or knows a puzzle's rules.

const BASE = new URL(".", import.meta.url);

/** What this build of the site offers: its runtime and its agents, with sizes in bytes. Null if it was built without them. */
export async function offer() {
  const answer = await fetch(new URL("agents.json", BASE)).catch(() => null);
  return answer?.ok ? answer.json() : null;
}

let runtime;

async function loadRuntime() {
  if (!runtime) {
    runtime = await import(new URL("ort/ort.wasm.min.mjs", BASE));
    runtime.env.wasm.wasmPaths = new URL("ort/", BASE).href;
    runtime.env.wasm.numThreads = 1; // more would need headers that few static hosts send
  }
  return runtime;
}

/** A recurrent policy: `begin` an episode, then `step` until it halts. */
export class Mind {
  #ort;
  #session;
  #feeds;

  /** @param facts the agent's entry in agents.json */
  static async load(facts) {
    const mind = new Mind();
    mind.facts = facts;
    mind.#ort = await loadRuntime();
    const options = { executionProviders: ["wasm"], logSeverityLevel: 3 }; // errors only, not how it simplifies the graph
    mind.#session = await mind.#ort.InferenceSession.create(new URL(facts.file, BASE).href, options);
    return mind;
  }

  /** Start an episode. @param puzzle tokens, row by row */
  begin(puzzle, rows, columns) {
    const { Tensor } = this.#ort;
    const axes = { batch: 1, rows, columns };
    this.shape = [rows, columns];
    this.#feeds = {
      puzzle: new Tensor("int64", BigInt64Array.from(puzzle, BigInt), [1, rows, columns]),
      episode_start: new Tensor("bool", [true], [1]),
    };
    for (const [name, shape] of Object.entries(this.facts.state)) {
      const size = shape.map((axis) => axes[axis] ?? axis);
      const length = size.reduce((a, b) => a * b, 1);
      this.#feeds[name] = name === "state/segment"
        ? new Tensor("int64", new BigInt64Array(length), size)
        : new Tensor("float32", new Float32Array(length), size);
    }
    this.segment = 0;
  }

  /** Think for one segment. Gives the answer's tokens, the probability of each, the belief in [0, 1] and whether to halt. */
  async step() {
    const started = performance.now();
    const outputs = await this.#session.run(this.#feeds);
    this.#feeds.episode_start = new this.#ort.Tensor("bool", [false], [1]);
    for (const name in this.#feeds) {
      if (name.startsWith("state/")) this.#feeds[name] = outputs[name.replace("state/", "next/")];
    }
    this.segment += 1;
    const lead = outputs.lead.data[0];
    const [answer, confidence] = read(outputs.logits.data, this.facts.tokens.length, this.facts.probabilities);
    return {
      segment: this.segment,
      answer,
      confidence,
      belief: "q_halt" in outputs ? 1 / (1 + Math.exp(-outputs.q_halt.data[0])) : null,
      halt: lead > this.facts.threshold,
      last: this.segment >= this.facts.maxSegments,
      milliseconds: performance.now() - started,
    };
  }
}

/** The most probable token of each cell and its probability. */
function read(logits, tokens, kind) {
  const cells = logits.length / tokens;
  const answer = new Array(cells);
  const confidence = new Array(cells);
  for (let cell = 0; cell < cells; cell++) {
    const row = logits.subarray(cell * tokens, (cell + 1) * tokens);
    let best = 0;
    for (let t = 1; t < tokens; t++) if (row[t] > row[best]) best = t;
    const weight = kind === "stablemax"
      ? (x) => (x < 0 ? 1 / (1 - x) : x + 1)
      : (x) => Math.exp(x - row[best]);
    answer[cell] = best;
    confidence[cell] = weight(row[best]) / row.reduce((sum, x) => sum + weight(x), 0);
  }
  return [answer, confidence];
}
