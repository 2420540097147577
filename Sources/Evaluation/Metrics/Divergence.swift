import Foundation

/// How far apart two histograms are, in nats.
///
/// A divergence punishes entries where the reference has few, and hardly those that are missing: a model that leaves
/// out a part of the truth comes off well. `Distance` does not have this gap; use both.
public enum Divergence {
    /// KL(generated‖reference) = Σ p·ln(p/q) over the bins, p the generated and q the reference's shares, without
    /// smoothing.
    ///
    /// 0 for equal shares, at most -ln(min q). For samples of one distribution it comes out as about (bins - 1)/2·(1/n
    /// + 1/m), not as 0.
    /// - Throws: `EvaluationError` with code `weights` if a sample has weights.
    public static func kl(_ generated: Sample, reference: Sample, bins: ProbabilityBins) throws -> Double {
        try generated.refuseWeights("shares")
        try reference.refuseWeights("shares")
        return kl(shares(bins.counts(generated)), shares(bins.counts(reference)))
    }

    /// Jensen and Shannon's divergence over the same bins: ½KL(p‖½(p+q)) + ½KL(q‖½(p+q)), in 0...ln 2. Symmetric but
    /// for the bins.
    /// - Throws: `EvaluationError` with code `weights` if a sample has weights.
    public static func jensenShannon(_ generated: Sample, reference: Sample, bins: ProbabilityBins) throws -> Double {
        try generated.refuseWeights("shares")
        try reference.refuseWeights("shares")
        return jensenShannon(shares(bins.counts(generated)), shares(bins.counts(reference)))
    }

    /// The number that the released evaluation of OmniJet-alpha prints as KL, for comparison with it only.
    ///
    /// It differs from `kl` in four ways: quantiles 0.001 to 0.999 as edges, and what is outside dropped; densities
    /// instead of shares, plus 1e-8, normalised as if they were shares; the other direction, KL(reference‖generated);
    /// and NaN where quantiles repeat, as they do for multiplicities.
    /// - Parameter edges: How many edges: 30 by its default, 50 in its training callback.
    /// - Throws: `EvaluationError` with code `weights` if a sample has weights, `options` for fewer than two edges.
    public static func released(_ generated: Sample, reference: Sample, edges: Int = 50) throws -> Double {
        try generated.refuseWeights("shares")
        let bins = try ReleasedBins(reference: reference, edges: edges)
        return released(bins.counts(generated), bins.counts(reference), edges: bins.edges)
    }

    /// Shares of the sum.
    static func shares(_ counts: [Int]) -> [Double] {
        let sum = Double(counts.reduce(0, +))
        return counts.map { Double($0) / sum }
    }

    /// Σ p·ln(p/q); infinite if p is anywhere that q is not.
    static func kl(_ p: [Double], _ q: [Double]) -> Double {
        let sum = zip(p, q).reduce(0) { $1.0 > 0 ? $0 + $1.0 * log($1.0 / $1.1) : $0 }
        // Rounding can take a sum near 0 below it.
        return sum < 0 ? 0 : sum
    }

    static func jensenShannon(_ p: [Double], _ q: [Double]) -> Double {
        let middle = zip(p, q).map { ($0 + $1) / 2 }
        return (kl(p, middle) + kl(q, middle)) / 2
    }

    static func released(_ generated: [Int], _ reference: [Int], edges: [Double]) -> Double {
        let widths = zip(edges, edges.dropFirst()).map { $1 - $0 }
        func normalised(_ counts: [Int]) -> [Double] {
            let inside = Double(counts.reduce(0, +))
            let raised = zip(counts, widths).map { Double($0) / $1 / inside + 1e-8 }
            let sum = raised.reduce(0, +)
            return raised.map { $0 / sum }
        }
        return zip(normalised(reference), normalised(generated)).reduce(0) { $0 + $1.0 * log($1.0 / $1.1) }
    }
}
