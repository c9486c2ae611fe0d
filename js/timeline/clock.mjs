// A run's clock: converts a timeline's points to places on the ruler, and back. The ruler is linear in steps. No DOM.

import { SIGMA, STEP } from "./grammar.mjs";

const NEARLY = 1 + 8e-7; // slightly less than the tolerance in nodes/condition/timepoints.py
const MOST_DIGITS = 7;

/** FLUX.1's time to sigma. `shift` is ComfyUI's, whose exp is the factor; null for no shift. */
export function sigmaOf(time, shift) {
    if (time <= 0 || time >= 1) return Math.min(1, Math.max(0, time));
    return shift === null ? time : Math.exp(shift) / (Math.exp(shift) + 1 / time - 1);
}

/** The inverse: sigma to time. */
export function timeOf(sigma, shift) {
    if (sigma <= 0 || sigma >= 1) return Math.min(1, Math.max(0, sigma));
    return shift === null ? sigma : 1 / (1 + Math.exp(shift) * (1 / sigma - 1));
}

/** The sigmas of a schedule that is linear in time, as `simple`. */
export function even(steps, shift) {
    return Array.from({ length: steps + 1 }, (_, step) => sigmaOf(1 - step / steps, shift));
}

/**
 * The clock of a run with these sigmas [steps + 1].
 *
 * Returns { steps, place(point), point(place, unit, isFree), sigma(place), percent(place) }. A place is in steps from
 * the run's start, with fractions.
 */
export function clock(sigmas, shift) {
    const steps = sigmas.length - 1;

    function sigma(place) {
        const step = Math.min(Math.floor(place), steps - 1);
        return sigmas[step] + (place - step) * (sigmas[step + 1] - sigmas[step]);
    }
    function placeOf(level) {
        if (level >= sigmas[0]) return 0;
        const next = sigmas.findIndex(each => each <= level);
        if (next < 0) return steps;
        return next - (level - sigmas[next]) / (sigmas[next - 1] - sigmas[next]);
    }
    const percent = place => 100 * (1 - timeOf(sigma(place), shift));

    function place({ value, unit }) {
        if (unit === STEP) return Math.min(value, steps);
        return placeOf(unit === SIGMA ? value : sigmaOf(1 - value / 100, shift));
    }

    /**
     * The point of `unit` at a place: on a step, or anywhere if `isFree`. It has as few digits as possible, but is
     * reached in this step and not in the one before.
     */
    function point(place, unit, isFree = false) {
        const at = isFree ? place : Math.round(place);
        if (unit === STEP) return { value: Math.round(place), unit };
        const levelOf = value => unit === SIGMA ? value : sigmaOf(1 - value / 100, shift);
        const exact = unit === SIGMA ? sigma(at) : percent(at), earlier = unit === SIGMA ? Math.ceil : Math.floor;
        const before = sigma(Math.max(0, Math.ceil(at) - 1));
        for (let digits = unit === SIGMA ? 3 : 1; ; digits++) {
            const scale = 10 ** digits, nearest = Math.round(exact * scale) / scale;
            const isReached = sigma(at) <= levelOf(nearest) * NEARLY;
            const value = isReached ? nearest : earlier(exact * scale) / scale;
            if (isFree || digits === MOST_DIGITS || before > levelOf(value) * NEARLY) return { value, unit };
        }
    }
    return { steps, place, point, sigma, percent };
}
