/// Which rows of which inputs each record batch holds: a pure function of the inputs' rows and the options.
///
/// Inputs are dealt into groups of `interleave`, input i into group i mod (number of groups), so that a group holds
/// inputs from all over the list. Batch j of the J batches of a group takes rows `n*j/J ..< n*(j+1)/J` of each of its
/// inputs with n rows: every batch has a part of every input of the group.
public struct BatchPlan: Sendable, Equatable {
    /// Rows of one input in a batch.
    public struct Piece: Sendable, Equatable {
        /// The number of the input.
        public var input: Int
        /// Rows of that input.
        public var rows: Range<Int>
    }

    /// The rows of each input that are taken.
    public let taken: [Range<Int>]
    private let groups: [[Int]]
    private let groupOfInput: [Int: Int]
    private let firstBatch: [Int]

    /// A plan.
    /// - Parameters:
    ///   - taken: Rows of each input.
    ///   - batchRows: At most so many rows a batch.
    ///   - interleave: At most so many inputs at once.
    public init(taken: [Range<Int>], batchRows: Int, interleave: Int) {
        self.taken = taken
        let used = taken.indices.filter { !taken[$0].isEmpty }
        let width = max(1, min(interleave, batchRows))
        let count = (used.count + width - 1) / width
        groups = (0..<count).map { group in stride(from: group, to: used.count, by: count).map { used[$0] } }
        groupOfInput = Dictionary(
            uniqueKeysWithValues: groups.enumerated().flatMap { number, inputs in inputs.map { ($0, number) } })
        var first = [0]
        for group in groups {
            let rows = group.reduce(0) { $0 + taken[$1].count }
            // Each input's share is rounded up at most once, so a batch has at most `batchRows` rows.
            let room = max(1, batchRows - (group.count - 1))
            first.append((first.last ?? 0) + (rows + room - 1) / room)
        }
        firstBatch = first
    }

    /// How many record batches there are.
    public var batchCount: Int { firstBatch.last ?? 0 }

    /// The pieces of a batch, by input.
    public func pieces(ofBatch batch: Int) -> [Piece] {
        guard batch >= 0, batch < batchCount else { return [] }
        // Groups that hold no batch share a beginning with the next one; binary search finds the last of them.
        var low = 0, high = groups.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if firstBatch[middle] <= batch { low = middle } else { high = middle }
        }
        let group = low
        let number = batch - firstBatch[group], count = firstBatch[group + 1] - firstBatch[group]
        return groups[group].compactMap { input in
            let range = taken[input]
            let start = Self.share(range.count, number, count), end = Self.share(range.count, number + 1, count)
            return start < end ? Piece(input: input, rows: range.lowerBound + start..<range.lowerBound + end) : nil
        }
    }

    /// `rows * part / parts` without overflow.
    static func share(_ rows: Int, _ part: Int, _ parts: Int) -> Int {
        let (high, low) = rows.multipliedFullWidth(by: part)
        return parts.dividingFullWidth((high, low)).quotient
    }
}

extension BatchPlan {
    /// How many batches from `first` on use some of these rows of an input.
    func uses(ofInput input: Int, rows: Range<Int>, from first: Int) -> Int {
        guard let group = groupOfInput[input] else { return 0 }
        let wanted = rows.clamped(to: taken[input])
        guard !wanted.isEmpty else { return 0 }
        let low = batch(ofRow: wanted.lowerBound, input: input, group: group)
        let high = batch(ofRow: wanted.upperBound - 1, input: input, group: group)
        return max(0, high - max(low, first) + 1)
    }

    /// The inputs whose last rows are in this batch.
    func finished(byBatch batch: Int) -> [Int] {
        pieces(ofBatch: batch).filter { $0.rows.upperBound == taken[$0.input].upperBound }.map(\.input)
    }

    /// The batch that holds a row: the largest j with n*j/J <= row.
    private func batch(ofRow row: Int, input: Int, group: Int) -> Int {
        let range = taken[input], count = firstBatch[group + 1] - firstBatch[group]
        let local = row - range.lowerBound
        var number = min(count - 1, Self.share(count, local, max(1, range.count)))
        while number + 1 < count, Self.share(range.count, number + 1, count) <= local { number += 1 }
        while number > 0, Self.share(range.count, number, count) > local { number -= 1 }
        return firstBatch[group] + number
    }
}
