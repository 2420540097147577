/// A name that equals another only if its bytes do, as in Python; Swift's strings equal others that look the same.
struct ByteName: Hashable, Sendable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: ByteName, right: ByteName) -> Bool {
        left.text.utf8.count == right.text.utf8.count && left.text.utf8.elementsEqual(right.text.utf8)
    }

    func hash(into hasher: inout Hasher) {
        let isDone: Void? = text.utf8.withContiguousStorageIfAvailable {
            hasher.combine(bytes: UnsafeRawBufferPointer($0))
        }
        if isDone == nil { for byte in text.utf8 { hasher.combine(byte) } }
    }
}

/// Where each name is in a list.
struct NameIndex: Sendable {
    private var positions: [ByteName: Int] = [:]

    init(capacity: Int = 0) { positions.reserveCapacity(capacity) }

    /// Adds a name; false if it is there already.
    mutating func insert(_ name: String, at position: Int) -> Bool {
        let key = ByteName(name)
        guard positions[key] == nil else { return false }
        positions[key] = position
        return true
    }

    /// The position of a name; nil if it is unknown.
    subscript(name: String) -> Int? { positions[ByteName(name)] }
}

extension String {
    /// Whether this comes before another by its bytes, as names are sorted everywhere but in Swift.
    func precedesByBytes(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }

    /// Some of these names in one line, for advice.
    static func sample(of names: some Collection<String>) -> String {
        let shown = names.prefix(4).map { $0.utf8.count > 80 ? $0.prefix(60) + "..." : $0 }.joined(separator: ", ")
        return names.count > 4 ? "\(shown) and \(names.count - 4) more" : shown
    }
}
