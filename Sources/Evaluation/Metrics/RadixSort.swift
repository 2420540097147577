import Support

/// Sorts float64 numbers by the bits of their keys: what the merges of `Distance` start from.
///
/// Six passes of 11 bits, least significant first, so that nothing is compared and no branch depends on the data. A
/// pass in which all keys agree is left out: numbers that were float32 take four passes. Threads take stretches of the
/// numbers; the result does not depend on how many.
enum RadixSort {
    private static let digitBits = 11
    private static let digits = 1 << digitBits
    private static let passes = (64 + digitBits - 1) / digitBits
    /// Below this, comparing is faster.
    private static let smallest = 2048
    /// A thread with fewer numbers than this costs more than it saves.
    private static let leastOfThread = 1 << 17

    /// The numbers in ascending order, -0 before 0, and what goes with each of them; equal ones stay in their order.
    /// - Parameters:
    ///   - values: Numbers without NaN.
    ///   - companions: As many numbers that move with them, or nothing.
    static func sorted(
        _ values: [Double], with companions: [Double]? = nil, threads: Int
    ) throws -> (values: [Double], companions: [Double]?) {
        let count = values.count
        guard count >= smallest else {
            guard let companions else { return (values.sorted(), nil) }
            let order = values.indices.sorted { (key(of: values[$0]), $0) < (key(of: values[$1]), $1) }
            return (order.map { values[$0] }, order.map { companions[$0] })
        }
        let workers = max(1, min(threads, count / leastOfThread))
        var moved: [Double]?
        let sorted = try [Double](unsafeUninitializedCapacity: count) { result, filled in
            filled = count
            guard let companions else {
                try values.withUnsafeBufferPointer { try run($0, nil, into: result, nil, threads: workers) }
                return
            }
            moved = try [Double](unsafeUninitializedCapacity: count) { other, filled in
                filled = count
                try values.withUnsafeBufferPointer { values in
                    try companions.withUnsafeBufferPointer {
                        try run(values, $0, into: result, other, threads: workers)
                    }
                }
            }
        }
        return (sorted, moved)
    }

    /// A key whose order as a whole number is that of the number: the sign bit flipped, or all bits of a negative one.
    @inline(__always)
    private static func key(of value: Double) -> UInt64 {
        let bits = value.bitPattern
        return bits ^ (UInt64(bitPattern: Int64(bitPattern: bits) >> 63) | 1 << 63)
    }

    @inline(__always)
    private static func number(of key: UInt64) -> Double {
        Double(bitPattern: key ^ (~UInt64(bitPattern: Int64(bitPattern: key) >> 63) | 1 << 63))
    }

    /// Numbers, or the keys that were made of them, in some memory.
    ///
    /// `@unchecked Sendable`: in a pass nobody writes the source, and each place of the target is written by the one
    /// thread whose stretch holds its number.
    private struct Lane: @unchecked Sendable {
        var numbers: UnsafeMutablePointer<Double>
        var companions: UnsafeMutablePointer<Double>?
        var areKeys: Bool

        @inline(__always)
        func key(at index: Int) -> UInt64 {
            areKeys ? numbers[index].bitPattern : RadixSort.key(of: numbers[index])
        }
    }

    /// How many keys of a stretch have each digit; then where the next one of them goes.
    ///
    /// `@unchecked Sendable`: a thread touches only the row of its stretch.
    private struct Places: @unchecked Sendable {
        let rows: UnsafeMutablePointer<Int>
        func row(_ stretch: Int) -> UnsafeMutablePointer<Int> { rows + stretch * digits }
    }

    private static func run(
        _ values: UnsafeBufferPointer<Double>, _ companions: UnsafeBufferPointer<Double>?,
        into result: UnsafeMutableBufferPointer<Double>, _ moved: UnsafeMutableBufferPointer<Double>?, threads: Int
    ) throws {
        guard let input = values.baseAddress, let output = result.baseAddress else { return }
        let count = values.count, active = passesNeeded(values)
        guard !active.isEmpty else {
            output.update(from: input, count: count)
            if let companions, let base = companions.baseAddress {
                moved?.baseAddress?.update(from: base, count: count)
            }
            return
        }
        let scratch = UnsafeMutablePointer<Double>.allocate(capacity: count)
        let other = companions.map { UnsafeMutablePointer<Double>.allocate(capacity: $0.count) }
        let places = Places(rows: .allocate(capacity: threads * digits))
        defer {
            scratch.deallocate()
            other?.deallocate()
            places.rows.deallocate()
        }
        var source = Lane(
            numbers: UnsafeMutablePointer(mutating: input),
            companions: companions?.baseAddress.map { UnsafeMutablePointer(mutating: $0) }, areKeys: false)
        for (number, pass) in active.enumerated() {
            // So that the last pass ends in the result.
            let endsInResult = (active.count - 1 - number).isMultiple(of: 2)
            let target = Lane(
                numbers: endsInResult ? output : scratch, companions: endsInResult ? moved?.baseAddress : other,
                areKeys: number < active.count - 1)
            try move(
                source, to: target, count: count, shift: UInt64(pass * digitBits), places: places, threads: threads)
            source = target
        }
    }

    /// The passes in which keys differ.
    private static func passesNeeded(_ values: UnsafeBufferPointer<Double>) -> [Int] {
        guard let first = values.first.map(key) else { return [] }
        var differing: UInt64 = 0
        for value in values { differing |= key(of: value) ^ first }
        return (0..<passes).filter { differing >> UInt64($0 * digitBits) & UInt64(digits - 1) != 0 }
    }

    private static func move(
        _ source: Lane, to target: Lane, count: Int, shift: UInt64, places: Places, threads: Int
    ) throws {
        let mask = UInt64(digits - 1)
        @Sendable func stretch(_ thread: Int) -> Range<Int> {
            count * thread / threads..<count * (thread + 1) / threads
        }
        func onThreads(_ body: @escaping @Sendable (Int) -> Void) throws {
            if threads == 1 { body(0) } else { try WorkerThreads.run(threads, body) }
        }
        try onThreads { thread in
            let row = places.row(thread)
            row.initialize(repeating: 0, count: digits)
            for index in stretch(thread) { row[Int(source.key(at: index) >> shift & mask)] += 1 }
        }
        var next = 0
        for digit in 0..<digits {
            for thread in 0..<threads {
                let found = places.row(thread)[digit]
                places.row(thread)[digit] = next
                next += found
            }
        }
        try onThreads { thread in
            let row = places.row(thread)
            for index in stretch(thread) {
                let key = source.key(at: index), digit = Int(key >> shift & mask), place = row[digit]
                row[digit] = place + 1
                target.numbers[place] = target.areKeys ? Double(bitPattern: key) : number(of: key)
                if let from = source.companions, let to = target.companions { to[place] = from[index] }
            }
        }
    }
}
