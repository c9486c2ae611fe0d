// All texts of the token panel, in one place for translation.

export const TEXTS = {
    tokens: "Tokens of this prompt",
    fold: "Hide the tokens",
    unfold: "Show the tokens",
    waiting: "Counting ...",
    linked: "The prompt comes from another node: its tokens are known after the run.",
    failed: reason => `No count: ${reason}`,
    unreachable: "the server does not answer. The next change tries again.",

    // the header
    of: (count, limit) => (limit === null ? `${count} token${count === 1 ? "" : "s"}` : `${count} / ${limit}`),
    cut: count => `${count} cut`,
    pads: count => (count === 1 ? "1 pad" : `${count} pads`),
    chunks: count => `${count} chunks`,

    // the header's tooltip
    clipCount: (count, limit) => `${count} of the ${limit} tokens that CLIP-L reads between its start and end token.`,
    chunkCount: (count, chunks, limit) => `${count} tokens in ${chunks} chunks of at most ${limit}.`,
    average: "Beyond 75 tokens is set to average: all chunks count.",
    strongest: "Beyond 75 tokens is set to strongest: only one chunk counts; which one is known after the run.",
    t5Count: (count, pads) => `${count} tokens and the end token, ${pads} pads: ${count + 1 + pads} rows for FLUX.1.`,
    t5Length: length => `length: ${length}`,
    positions: {
        none: "No CLIP is connected: 77 positions assumed, as CLIP-L has.",
        unknown: "Which CLIP is connected is not known before the run: 77 positions assumed, as CLIP-L has.",
        short: file => `77 positions assumed: ${file} is no Long-CLIP by its name.`,
        long: file => `248 positions assumed: ${file} is a Long-CLIP by its name.`,
    },
    fromLink: names => `From another node, and not known before the run: ${names}. The value on the node is assumed.`,
    choices: count => `ComfyUI draws one option of each {a|b} at each run, ${count === 1 ? "once" : `${count} times`} `
        + "here. The first option is counted; a run may have more tokens or fewer.",
    about: "\u2248",
    address: text => `ComfyUI takes // for a comment and leaves out: ${text} Write the address without //.`,
    comments: "ComfyUI leaves out comments: // to the end of the line, and /* */. They are struck through.",
    embedding: "embedding:name counts as text here.",
    ignored: name => `There is no ${name}: nothing is read there.`,
    warned: "!",

    // marks between the tokens
    start: "start",
    end: "end",
    chunk: number => `chunk ${number}`,
    cutHere: "not read",
    choice: count => `1 of ${count}:`,
    more: count => `${count} more \u25be`,
    showMore: "Show the next tokens.",
    marks: {
        start: "The start token, which CLIP-L's prompts begin with.",
        end: {
            clip: "The end token: CLIP-L's vector is read here.",
            t5: "The end token, which T5's prompts end with.",
        },
        pads: {
            clip: "Pads fill the rest of CLIP-L's positions. They do not change its vector.",
            t5: "Pads fill the rest of T5's rows. FLUX.1 reads them too.",
        },
        chunk: "A new chunk, which CLIP-L reads on its own.",
        ignored: "There is no such embedding: nothing is read here.",
        comment: "A comment: ComfyUI leaves it out.",
        choice: "ComfyUI draws one of these options at each run. The first is counted here.",
        cut: { clip: "CLIP-L reads no further.", t5: "T5 reads no further at this length." },
    },

    // a token's tooltip
    token: id => (id === null ? "a row of an embedding" : `token ${id}`),
    space: "The space before the word, which T5 reads as a token of its own.",
    part: "A further token of the same sign.",
    pad: "T5 reads <pad> as a pad, wherever it stands.",
    unknown: "T5 has no token for this and reads <unk>.",
    weight: weight => `weight ${weight}`,
    lost: {
        clip: limit => `Cut: it is past the ${limit} tokens that CLIP-L reads, and has no effect.`,
        t5: limit => `Cut: it is past the ${limit} rows of this length, and has no effect.`,
    },
};
