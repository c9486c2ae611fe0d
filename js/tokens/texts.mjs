// All texts of the token panel.

import { t } from "../lib/words.mjs";

export const TEXTS = {
    tokens: () => t("Tokens of this prompt"),
    fold: () => t("Hide the tokens"),
    unfold: () => t("Show the tokens"),
    waiting: () => t("Counting ..."),
    linked: () => t("The prompt comes from another node. Its tokens are known after the run."),
    failed: reason => t("The tokens cannot be counted: {reason}", { reason }),
    unreachable: () => t("The server does not answer, so the tokens are not counted. The next change of the prompt "
        + "counts them again."),

    // the header
    of(count, limit) {
        if (limit !== null) return `${count} / ${limit}`;
        return count === 1 ? t("1 token") : t("{count} tokens", { count });
    },
    cut: count => t("{count} cut", { count }),
    pads: count => count === 1 ? t("1 pad") : t("{count} pads", { count }),
    chunks: count => t("{count} chunks", { count }),

    // the header's tooltip
    clipCount: (count, limit) =>
        t("{count} of the {limit} tokens that CLIP-L reads between its start token and its end token.", { count, limit }),
    chunkCount: (count, chunks, limit) =>
        t("{count} tokens in {chunks} chunks of at most {limit}.", { count, chunks, limit }),
    average: () => t("Beyond 75 tokens: average. All chunks count."),
    strongest: () => t("Beyond 75 tokens: strongest. Only one chunk counts; the run shows which one."),
    t5Count: (count, pads) => t("{count} tokens, the end token and {pads} pads: FLUX.1 reads {sum} token embeddings.",
        { count, pads, sum: count + 1 + pads }),
    t5Length: length => t("Length: {length}", { length }),
    positions: {
        none: () => t("No CLIP is connected. The count assumes CLIP-L's 77 positions."),
        unknown: () => t("The connected CLIP is not known before the run. The count assumes CLIP-L's 77 positions."),
        short: file => t("The count assumes 77 positions: by its name, {file} is not a Long-CLIP.", { file }),
        long: file => t("The count assumes 248 positions: by its name, {file} is a Long-CLIP.", { file }),
    },
    fromLink: names => t("Set by another node and not known before the run: {names}. The count assumes the value on this "
        + "node.", { names }),
    choices: () => t("ComfyUI draws one option of each {a|b} at each run. The first option is counted here, so a run may "
        + "have more or fewer tokens."),
    about: "\u2248",
    address: text => t("ComfyUI reads // as a comment and removes: {text} Write the address without //.", { text }),
    comments: () => t("ComfyUI removes comments: // to the end of the line, and /* */. They are struck through here."),
    embedding: () => t("embedding:name is counted as plain text here."),
    ignored: name => t("The embedding {name} does not exist. It has no effect.", { name }),
    warned: "!",

    // marks between the tokens
    start: () => t("start"),
    end: () => t("end"),
    chunk: number => t("chunk {number}", { number }),
    cutHere: () => t("not read"),
    choice: count => t("1 of {count}:", { count }),
    more: count => t("{count} more", { count }),
    showMore: () => t("Show the next tokens."),
    marks: {
        start: () => t("The start token. CLIP-L puts it before every prompt."),
        end: {
            clip: () => t("The end token. CLIP-L's vector is read at this position."),
            t5: () => t("The end token. T5 puts it after every prompt."),
        },
        pads: {
            clip: () => t("Pads fill the rest of CLIP-L's positions. They do not change its vector."),
            t5: () => t("Pads fill the prompt up to its length. FLUX.1 reads them too."),
        },
        chunk: () => t("A new chunk. CLIP-L encodes each chunk separately."),
        ignored: () => t("This embedding does not exist. It has no effect."),
        comment: () => t("A comment. ComfyUI removes it."),
        choice: () => t("ComfyUI draws one of these options at each run. The first option is counted here."),
        cut: {
            clip: () => t("CLIP-L does not read the tokens after this mark."),
            t5: () => t("At this length, T5 does not read the tokens after this mark."),
        },
    },

    // a token's tooltip
    token: id => id === null ? t("part of an embedding") : t("token {id}", { id }),
    space: () => t("The space before the word. T5 reads it as a separate token."),
    part: () => t("Another token of the same character."),
    pad: () => t("T5 reads <pad> in the text as a pad."),
    unknown: () => t("T5 has no token for this and reads <unk>."),
    weight: weight => t("weight {weight}", { weight }),
    lost: {
        clip: limit => t("Cut: it is past the {limit} tokens that CLIP-L reads, and has no effect.", { limit }),
        t5: limit => t("Cut: it is past the {limit} tokens of this length, and has no effect.", { limit }),
    },
};
