import Torch

/// Centres of vectors, as the original's codebook begins: from the farthest points on, with squared distances.
package struct KMeans {
    /// [codes, width]; a centre without vectors is zero, as in the original.
    package let centres: Tensor
    /// Sum of the squared movements of all centres, of each iteration.
    package let movements: [Double]

    private static let mostIterations = 100
    private static let tolerance = 1e-4

    /// - Parameter first: Chooses the vector that is the first centre, below a count.
    /// - Throws: `ModelError` with code `input` if there are not more vectors than codes: the original would shrink its codebook.
    package init(_ vectors: Tensor, codes: Int, first: (Int) throws -> Int) throws {
        let count = vectors.size(0), width = vectors.size(1), values = try vectors.floats()
        guard count > codes, width > 0 else {
            throw ModelError(
                .input,
                message: "the first batch has \(count) constituents, and the codebook begins with \(codes) of them",
                advice: "take larger batches or fewer codes")
        }
        var centres = Self.farthest(values, count, width, codes, try first(count))
        var movements: [Double] = []
        for _ in 0..<Self.mostIterations {
            let owners = try vectors.nearest(Tensor.of(centres, [codes, width], on: vectors.device)).index.integers()
            var sums = [Double](repeating: 0, count: codes * width), members = [Int](repeating: 0, count: codes)
            for (row, owner) in owners.enumerated() {
                members[Int(owner)] += 1
                for axis in 0..<width { sums[Int(owner) * width + axis] += Double(values[row * width + axis]) }
            }
            var moved = 0.0
            for code in 0..<codes {
                for axis in 0..<width {
                    let place = code * width + axis
                    let fresh = members[code] > 0 ? Float(sums[place] / Double(members[code])) : 0
                    let step = Double(fresh) - Double(centres[place])
                    moved += step * step
                    centres[place] = fresh
                }
            }
            movements.append(moved)
            if moved <= Self.tolerance { break }
        }
        self.centres = try Tensor.of(centres, [codes, width])
        self.movements = movements
    }

    /// Each next centre is the vector that is farthest from all before.
    private static func farthest(_ values: [Float], _ count: Int, _ width: Int, _ codes: Int, _ first: Int) -> [Float] {
        var centres: [Float] = [], next = first
        var distance = [Float](repeating: .infinity, count: count)
        for _ in 0..<codes {
            let chosen = Array(values[next * width..<(next + 1) * width])
            centres += chosen
            next = 0
            for row in 0..<count {
                var sum: Float = 0
                for axis in 0..<width {
                    let difference = values[row * width + axis] - chosen[axis]
                    sum += difference * difference
                }
                if sum < distance[row] { distance[row] = sum }
                if distance[row] > distance[next] { next = row }
            }
        }
        return centres
    }
}
