/// Distances of several replicas from one walk over two sorted samples.
///
/// The walk goes in blocks of the merged order that stay in the processor's first cache: each replica draws how many of
/// its entries fall into the block (a binomial number), which of its entries they are, and goes on with its difference
/// of distribution functions. This is the multinomial distribution exactly, needs no memory of the samples' size, and
/// reads the samples once for all replicas.
struct ReplicaWalk {
    private static let block = 4096

    /// Where a replica is.
    fileprivate struct State {
        var random: ReplicaRandom
        /// Draws that are still to be made of each sample.
        var left: (Int, Int)
        /// n·m times the difference of the distribution functions: whole numbers, exact in float64 up to 9·10^15.
        var difference = 0.0
        var sum = CompensatedSum()
        var greatest = 0.0
    }

    private let a: [Double]
    private let b: [Double]
    private var states: [State]

    init(_ a: [Double], _ b: [Double], replicas: [Int], of bootstrap: Bootstrap) {
        (self.a, self.b) = (a, b)
        states = replicas.map {
            State(random: bootstrap.random(Metric.wasserstein.rawValue, $0), left: (a.count, b.count))
        }
    }

    /// Walks to the end.
    consuming func run() -> [Distance.Pair] {
        let n = Double(a.count), m = Double(b.count), all = a.count + b.count
        var gaps = Array(repeating: 0.0, count: Self.block), steps = gaps, counts = gaps
        // Where the entries of either sample are in the block.
        var first = Array(repeating: 0, count: Self.block), second = first
        var i = 0, j = 0, start = 0
        while start < all {
            let length = min(Self.block, all - start), before = (i, j)
            for place in 0..<length {
                let isFirst = j == b.count || (i < a.count && a[i] <= b[j])
                let value = isFirst ? a[i] : b[j]
                if isFirst {
                    first[i - before.0] = place
                    i += 1
                } else {
                    second[j - before.1] = place
                    j += 1
                }
                steps[place] = isFirst ? m : -n
                let next = min(i < a.count ? a[i] : .infinity, j < b.count ? b[j] : .infinity)
                gaps[place] = next < .infinity ? next - value : 0
            }
            let inBlock = (i - before.0, j - before.1), toCome = (a.count - before.0, b.count - before.1)
            for index in states.indices {
                for place in 0..<length { counts[place] = 0 }
                states[index].left.0 -= states[index].random.scatter(
                    states[index].left.0, over: first, inBlock.0, of: toCome.0, into: &counts)
                states[index].left.1 -= states[index].random.scatter(
                    states[index].left.1, over: second, inBlock.1, of: toCome.1, into: &counts)
                states[index].advance(length, steps, gaps, counts)
            }
            start += length
        }
        return states.map {
            Distance.Pair(wasserstein: $0.sum.value, kolmogorovSmirnov: $0.greatest).scaled(by: 1 / (n * m))
        }
    }
}

extension ReplicaWalk.State {
    /// Goes over a block.
    fileprivate mutating func advance(_ length: Int, _ steps: [Double], _ gaps: [Double], _ counts: [Double]) {
        var difference = difference, sum = 0.0, greatest = greatest
        for place in 0..<length {
            difference += counts[place] * steps[place]
            let height = abs(difference), gap = gaps[place]
            sum += height * gap
            greatest = max(greatest, gap > 0 ? height : 0)
        }
        self.difference = difference
        self.sum.add(sum)
        self.greatest = greatest
    }
}

extension ReplicaRandom {
    /// Draws how many of `left` draws from `toCome` entries fall on the first `length` of them, and counts which;
    /// returns how many.
    fileprivate mutating func scatter(
        _ left: Int, over places: [Int], _ length: Int, of toCome: Int, into counts: inout [Double]
    ) -> Int {
        guard length > 0, left > 0 else { return 0 }
        let drawn = length == toCome ? left : binomial(left, Double(length) / Double(toCome))
        for _ in 0..<drawn { counts[places[Int(below(UInt32(length)))]] += 1 }
        return drawn
    }
}
