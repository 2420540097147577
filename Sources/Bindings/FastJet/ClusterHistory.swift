/// How the constituents of a jet were merged, step by step, until the beam had all.
///
/// Objects have numbers: constituents 0 ..< n, and n + s is what step s made.
public struct ClusterHistory: Sendable {
    /// A four-momentum with its direction.
    public struct Object: Sendable, Equatable {
        /// Momentum in GeV.
        public var px, py, pz: Double
        /// Energy in GeV.
        public var energy: Double
        /// Rapidity; with the scheme "winner takes all" that of its hardest constituent.
        public var rapidity: Double
        /// Azimuth in rad, 0 to 2 pi.
        public var phi: Double
    }

    /// How many constituents there are: also the number of steps.
    public var count: Int { constituents.count }
    private let parents: [Int32]
    private let objects: [Double]
    private let constituents: [[Double]]

    init(parents: [Int32], objects: [Double], constituents: [[Double]]) {
        self.parents = parents
        self.objects = objects
        self.constituents = constituents
    }

    /// The objects that a step took; the second is nil if it was merged with the beam.
    public func parents(ofStep step: Int) -> (Int, Int?) {
        let other = Int(parents[2 * step + 1])
        return (Int(parents[2 * step]), other < 0 ? nil : other)
    }

    /// What a step made; nil if it was a merger with the beam.
    public func object(ofStep step: Int) -> Object? {
        guard parents[2 * step + 1] >= 0 else { return nil }
        let at = 6 * step
        return Object(
            px: objects[at], py: objects[at + 1], pz: objects[at + 2], energy: objects[at + 3],
            rapidity: objects[at + 4], phi: objects[at + 5])
    }

    /// The numbers of the exclusive jets: the objects that are left when there are so many (`exclusive_jets`). Fewer constituents are
    /// their own jets. What was merged with the beam before is in none of them.
    public func exclusive(_ jets: Int) -> [Int] {
        let stop = max(count, 2 * count - max(0, jets))
        return (stop - count..<count).flatMap { step in
            let (one, other) = parents(ofStep: step)
            return [one, other].compactMap { $0 }.filter { $0 < stop }
        }
    }

    /// The numbers of the inclusive jets: what was merged with the beam, in that order.
    public var inclusive: [Int] {
        (0..<count).compactMap { step in
            let (one, other) = parents(ofStep: step)
            return other == nil ? one : nil
        }
    }

    /// The constituents of an object, rising.
    public func constituents(of object: Int) -> [Int] {
        var left = [object], found: [Int] = []
        while let next = left.popLast() {
            guard next >= count else {
                found.append(next)
                continue
            }
            let (one, other) = parents(ofStep: next - count)
            left += [one, other].compactMap { $0 }
        }
        return found.sorted()
    }

    /// px, py, pz, energy of an object.
    public func momentum(of object: Int) -> [Double] {
        object < count ? constituents[object] : Array(objects[6 * (object - count)..<6 * (object - count) + 4])
    }
}
