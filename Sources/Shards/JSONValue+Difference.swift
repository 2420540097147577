extension JSONValue {
    /// The first member, by name, that is another one in `other`; nil if there is none, or these are no objects.
    /// - Parameter path: The names that lead to this value, with dots between them.
    /// - Returns: The names that lead to the member, and both values as text.
    package func difference(from other: JSONValue, at path: String = "") -> (
        path: String, own: String, other: String
    )? {
        if case .object(let mine) = self, case .object(let theirs) = other {
            for key in Set(mine.keys).union(theirs.keys).sorted() {
                let place = path.isEmpty ? key : "\(path).\(key)"
                guard let a = mine[key], let b = theirs[key] else {
                    return (place, Self.text(mine[key]), Self.text(theirs[key]))
                }
                if let found = a.difference(from: b, at: place) { return found }
            }
            return nil
        }
        return self == other || path.isEmpty ? nil : (path, Self.text(self), Self.text(other))
    }

    private static func text(_ value: JSONValue?) -> String {
        value.flatMap { try? CanonicalJSON.text($0) } ?? "none"
    }
}
