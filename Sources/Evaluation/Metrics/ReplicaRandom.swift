import Foundation
import Support

/// Random numbers of one bootstrap replica: they follow from its key alone, on any thread.
struct ReplicaRandom {
    private var source: SplitMix64

    init(seed: UInt64, purpose: String, replica: Int) {
        var bytes = Array(purpose.utf8)
        for word in [seed, UInt64(truncatingIfNeeded: replica)] {
            bytes += withUnsafeBytes(of: word.littleEndian) { Array($0) }
        }
        source = bytes.withUnsafeBytes { SplitMix64(key: $0) }
    }

    @inline(__always)
    mutating func next() -> UInt64 { source.next() }

    /// A number in 0..<1, of 53 bits.
    @inline(__always)
    mutating func uniform() -> Double { source.uniform() }

    /// A number below `bound`, each with the same probability (Lemire 2019, with 32 bits).
    @inline(__always)
    mutating func below(_ bound: UInt32) -> UInt32 {
        var product = (next() >> 32) &* UInt64(bound)
        if UInt32(truncatingIfNeeded: product) < bound {
            let least = (0 &- bound) % max(bound, 1)
            while UInt32(truncatingIfNeeded: product) < least { product = (next() >> 32) &* UInt64(bound) }
        }
        return UInt32(truncatingIfNeeded: product >> 32)
    }

    /// How many of `trials` succeed, each with this probability.
    ///
    /// Exact for any size: by inversion where few are expected, else by transformed rejection (Hörmann 1993, BTRS).
    mutating func binomial(_ trials: Int, _ probability: Double) -> Int {
        guard trials > 0, probability > 0 else { return 0 }
        guard probability < 1 else { return trials }
        if probability > 0.5 { return trials - binomial(trials, 1 - probability) }
        let mean = Double(trials) * probability
        return mean < 10 ? inverted(trials, probability) : rejected(trials, probability)
    }

    /// Failures between successes have a geometric distribution; as many as fit are the successes.
    private mutating func inverted(_ trials: Int, _ probability: Double) -> Int {
        let scale = log1p(-probability)
        var successes = 0, used = 0.0
        while true {
            used += (log(1 - uniform()) / scale).rounded(.down) + 1
            if !(used <= Double(trials)) { return successes }
            successes += 1
        }
    }

    private mutating func rejected(_ trials: Int, _ p: Double) -> Int {
        let n = Double(trials), ratio = p / (1 - p), deviation = (n * p * (1 - p)).squareRoot()
        let b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * p, c = n * p + 0.5
        let squeeze = 0.92 - 4.2 / b, alpha = (2.83 + 5.1 / b) * deviation, mode = ((n + 1) * p).rounded(.down)
        while true {
            let u = uniform() - 0.5, v = 1 - uniform(), distance = 0.5 - abs(u)
            let k = ((2 * a / distance + b) * u + c).rounded(.down)
            guard k >= 0, k <= n else { continue }
            if distance >= 0.07, v <= squeeze { return Int(k) }
            let bound =
                (mode + 0.5) * log((mode + 1) / (ratio * (n - mode + 1)))
                + (n + 1) * log((n - mode + 1) / (n - k + 1)) + (k + 0.5) * log(ratio * (n - k + 1) / (k + 1))
                + Self.tail(mode) + Self.tail(n - mode) - Self.tail(k) - Self.tail(n - k)
            if log(v * alpha / (a / (distance * distance) + b)) <= bound { return Int(k) }
        }
    }

    /// What Stirling's approximation lacks: ln k! - [½ln(2π) + (k+½)ln(k+1) - (k+1)].
    private static func tail(_ k: Double) -> Double {
        if k < 10 {
            let factorial = stride(from: 2, through: k, by: 1).reduce(1, *)
            return log(factorial) - (0.5 * log(2 * Double.pi) + (k + 0.5) * log(k + 1) - (k + 1))
        }
        let x = 1 / (k + 1), square = x * x
        return (1.0 / 12 - (1.0 / 360 - square / 1260) * square) * x
    }

    /// How often each of several kinds comes in so many draws with replacement, where the kinds have these shares.
    mutating func multinomial(_ draws: Int, of counts: [Int]) -> [Int] {
        var left = draws, rest = counts.reduce(0, +)
        return counts.map { count in
            guard rest > 0, left > 0 else { return 0 }
            let drawn = count == rest ? left : binomial(left, Double(count) / Double(rest))
            left -= drawn
            rest -= count
            return drawn
        }
    }
}
