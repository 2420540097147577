/// The order in which the datasets of a mixture take turns, without end; what it holds does not grow with the epoch.
///
/// A pattern gives each dataset exactly its quota of places: the j-th of n lies somewhere in j/n ..< (j+1)/n, so that they
/// are spread evenly, yet at random. Each stream draws one of the patterns for each period.
struct MixturePattern: Sendable {
    /// The longest period.
    static let longestPeriod = 4096
    /// How many patterns there are to draw from.
    static let variants = 16

    private struct Slot: Sendable {
        var dataset: UInt16
        /// Places of the same dataset before it in the pattern.
        var before: UInt16
    }

    /// Places of each dataset in a period.
    let quotas: [Int]
    /// The sum of the quotas.
    let period: Int
    private let key: (seed: UInt64, epoch: UInt64)
    private let patterns: [[Slot]]
    /// For each pattern and dataset where its places are.
    private let slots: [[[Int32]]]

    init(quotas: [Int], seed: UInt64, epoch: Int) {
        self.quotas = quotas
        period = quotas.reduce(0, +)
        key = (seed, UInt64(truncatingIfNeeded: epoch))
        var patterns: [[Slot]] = [], slots: [[[Int32]]] = []
        for variant in 0..<Self.variants {
            var random = KeyedRandom(Purpose.mixturePattern.rawValue, key.seed, key.epoch, UInt64(variant))
            var order: [(key: UInt64, dataset: Int)] = []
            order.reserveCapacity(period)
            for (dataset, quota) in quotas.enumerated() {
                for place in 0..<quota {
                    // 44 bits hold the place and its random part, below 4096 · 2^32.
                    order.append(((UInt64(place) << 32 | random.next() >> 32) / UInt64(quota), dataset))
                }
            }
            order.sort { ($0.key, $0.dataset) < ($1.key, $1.dataset) }
            var pattern: [Slot] = [], places: [[Int32]] = Array(repeating: [], count: quotas.count)
            for (index, entry) in order.enumerated() {
                pattern.append(Slot(dataset: UInt16(entry.dataset), before: UInt16(places[entry.dataset].count)))
                places[entry.dataset].append(Int32(index))
            }
            patterns.append(pattern)
            slots.append(places)
        }
        self.patterns = patterns
        self.slots = slots
    }

    private func variant(_ stream: Int, _ number: Int) -> Int {
        var random = KeyedRandom(
            state: KeyedRandom.state(
                Purpose.mixtureChoice.rawValue, key.seed, key.epoch, UInt64(stream), UInt64(number)))
        return Int(random.below(UInt64(Self.variants)))
    }

    /// The dataset at a position of a stream, and how many of its places lie before.
    func turn(ofStream stream: Int, at position: Int) -> (dataset: Int, before: Int) {
        let (number, index) = position.quotientAndRemainder(dividingBy: period)
        let slot = patterns[variant(stream, number)][index], dataset = Int(slot.dataset)
        return (dataset, number * quotas[dataset] + Int(slot.before))
    }

    /// How many places of a dataset lie before a position of a stream.
    func count(ofStream stream: Int, dataset: Int, before position: Int) -> Int {
        let (number, index) = position.quotientAndRemainder(dividingBy: period)
        let places = slots[variant(stream, number)][dataset]
        var low = 0, high = places.count
        while low < high {
            let middle = (low + high) / 2
            if Int(places[middle]) < index { low = middle + 1 } else { high = middle }
        }
        return number * quotas[dataset] + low
    }

    /// The position in a stream of the place of a dataset with so many before it.
    func position(ofStream stream: Int, dataset: Int, before: Int) -> Int {
        let (number, place) = before.quotientAndRemainder(dividingBy: quotas[dataset])
        return number * period + Int(slots[variant(stream, number)][dataset][place])
    }

    /// Whole numbers of places that come nearest to the weights.
    ///
    /// Of all periods up to the longest the one with the least largest error, and of equally good ones the longest; for each the
    /// places that rounding down leaves go to the largest remainders. The error of a weight is less than 1/4096 of the sum.
    static func quotas(of weights: [Double]) throws(LoaderError) -> [Int] {
        func fault(_ place: String, _ message: String, _ advice: String? = nil) -> LoaderError {
            LoaderError(.options, place: place, message: message, advice: advice)
        }
        guard (1...longestPeriod).contains(weights.count) else {
            throw fault("weights", "are \(weights.count), expected 1 to \(longestPeriod)")
        }
        for (number, weight) in weights.enumerated() where !(weight > 0 && weight.isFinite) {
            throw fault("weight \(number)", "is \(weight), expected a finite number above 0")
        }
        let largest = weights.max() ?? 1
        let sum = weights.reduce(0) { $0 + $1 / largest }
        let parts = weights.map { $0 / largest / sum }
        for (number, part) in parts.enumerated() where part * Double(longestPeriod) < 1 - 1e-9 {
            throw fault(
                "weight \(number)", "is \(part) of the sum, expected at least 1/\(longestPeriod)",
                "give it more weight, or leave the dataset out")
        }
        var best: (quotas: [Int], error: Double) = ([], .infinity)
        for period in stride(from: longestPeriod, through: weights.count, by: -1) {
            let quotas = quotas(of: parts, period: period)
            guard quotas.allSatisfy({ $0 >= 1 }) else { continue }
            let error = zip(quotas, parts).reduce(0) { max($0, abs(Double($1.0) / Double(period) - $1.1)) }
            // Errors of rounding alone are no reason for a shorter period.
            if error < best.error - 1e-12 { best = (quotas, error) }
        }
        return best.quotas
    }

    private static func quotas(of parts: [Double], period: Int) -> [Int] {
        let exact = parts.map { $0 * Double(period) }
        var quotas = exact.map { Int($0 + 1e-9) }
        let left = period - quotas.reduce(0, +)
        let order = parts.indices.sorted {
            (exact[$1] - Double(quotas[$1]), $0) < (exact[$0] - Double(quotas[$0]), $1)
        }
        for number in order.prefix(max(0, left)) { quotas[number] += 1 }
        return quotas
    }
}
